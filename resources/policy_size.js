'use strict';
// How long an IAM policy becomes: IAM counts letters without white space, and CloudFormation tells only in the middle of a
// deployment. Source: IAM and STS quotas (10,240 for all of a role's inline policies, 6,144 for a managed one, 10 attached).

// The longest that each can become.
const LONGEST = { 'AWS::Partition': 'aws-us-gov', 'AWS::Region': 'ap-southeast-1', 'AWS::AccountId': '123456789012', Region: 'apsoutheast1' };
const MANAGED = 6144;
const ATTACHED = 10;

function fill(value) {
  if (Array.isArray(value)) return value.map(fill);
  if (value === null || typeof value !== 'object') return value;
  const text = Array.isArray(value['Fn::Sub']) ? value['Fn::Sub'][0] : value['Fn::Sub'];
  if (typeof text === 'string') return text.replace(/\$\{([^}]+)\}/g, (whole, name) => LONGEST[name] || whole);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
}

const measure = (value) => JSON.stringify(fill(value)).length;

// As few lists as hold all values, each at most so long; a value alone may be no longer.
function split(values, most) {
  const lists = [];
  for (const value of values) {
    const last = lists[lists.length - 1];
    if (last && measure([...last, value]) <= most) last.push(value);
    else lists.push([value]);
  }
  return lists;
}

module.exports = { ATTACHED, MANAGED, measure, split };
