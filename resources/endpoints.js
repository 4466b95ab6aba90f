'use strict';
// Which endpoints a diagnosis may swap: `param:endpoints`, or else those that monitors.yml sets to `mode: swap`.
// IAM compares letters exactly and SageMaker writes an endpoint's ARN in lower case, hence both spellings.

const fs = require('fs');
const path = require('path');

function readSwapped(monitorsFile) {
  const { endpoints = {} } = JSON.parse(fs.readFileSync(path.join(__dirname, '..', monitorsFile), 'utf8'));
  const rows = Array.isArray(endpoints) ? endpoints : Object.entries(endpoints).map(([name, row]) => ({ name, ...row }));
  return rows.filter((row) => row.diagnosis && row.diagnosis.mode === 'swap').map((row) => row.name);
}

const arn = (resource) => ({ 'Fn::Sub': `arn:$\{AWS::Partition}:sagemaker:$\{AWS::Region}:$\{AWS::AccountId}:${resource}` });

module.exports = async ({ resolveVariable }) => {
  const given = (await resolveVariable('param:endpoints')).split(',').map((name) => name.trim()).filter(Boolean);
  const names = given.length ? given : readSwapped(await resolveVariable('param:monitorsFile'));
  const spellings = [...new Set(names.flatMap((name) => [name, name.toLowerCase()]))].sort();
  if (!spellings.length) return { Sid: 'SwapNothing', Effect: 'Deny', Action: 'sagemaker:UpdateEndpoint', Resource: '*' };
  return {
    Sid: 'SwapListedEndpoints',
    Effect: 'Allow',
    Action: 'sagemaker:UpdateEndpoint',
    // Any config: the way back is the owner's own, whose name nobody can know beforehand.
    Resource: [...spellings.map((name) => arn(`endpoint/${name}`)), arn('endpoint-config/*')],
  };
};
