'use strict';
// Which endpoints a diagnosis may swap: `param:endpoints`, or else those that monitors.yml sets to `mode: swap`.
// IAM compares letters exactly and SageMaker writes an endpoint's ARN in lower case, hence both spellings.
// The first of them stand in the role itself, as many as surely fit beside its other statements; the rest in managed policies.

const fs = require('fs');
const path = require('path');
const { ATTACHED, MANAGED, measure, split } = require('./policy_size.js');

const INLINE = 1500;
const ROLE = 'AdvanceDiagnosisRole';

function readSwapped(monitorsFile) {
  const { endpoints = {} } = JSON.parse(fs.readFileSync(path.join(__dirname, '..', monitorsFile), 'utf8'));
  const rows = Array.isArray(endpoints) ? endpoints : Object.entries(endpoints).map(([name, row]) => ({ name, ...row }));
  return rows.filter((row) => row.diagnosis && row.diagnosis.mode === 'swap').map((row) => row.name);
}

const arn = (resource) => ({ 'Fn::Sub': `arn:$\{AWS::Partition}:sagemaker:$\{AWS::Region}:$\{AWS::AccountId}:${resource}` });
// Any config: the way back is the owner's own, whose name nobody can know beforehand.
const allow = (endpoints) => ({
  Sid: 'SwapListedEndpoints',
  Effect: 'Allow',
  Action: 'sagemaker:UpdateEndpoint',
  Resource: [...endpoints, arn('endpoint-config/*')],
});

async function listSwapped(resolveVariable) {
  const given = (await resolveVariable('param:endpoints')).split(',').map((name) => name.trim()).filter(Boolean);
  const names = given.length ? given : readSwapped(await resolveVariable('param:monitorsFile'));
  return [...new Set(names.flatMap((name) => [name, name.toLowerCase()]))].sort().map((name) => arn(`endpoint/${name}`));
}

function divide(endpoints) {
  const [inline = []] = split(endpoints, INLINE);
  const around = measure({ Version: '2012-10-17', Statement: [allow([])] });
  return [inline, ...split(endpoints.slice(inline.length), MANAGED - around)];
}

module.exports = {
  statement: async ({ resolveVariable }) => {
    const [inline] = divide(await listSwapped(resolveVariable));
    return inline.length ? allow(inline) : { Sid: 'SwapNothing', Effect: 'Deny', Action: 'sagemaker:UpdateEndpoint', Resource: '*' };
  },
  resources: async ({ resolveVariable }) => {
    const endpoints = await listSwapped(resolveVariable);
    const [, ...rest] = divide(endpoints);
    // One is left for what a hub may read of its spokes.
    if (rest.length > ATTACHED - 1) {
      throw new Error(
        `endpoints: ${endpoints.length} names to swap need ${rest.length} managed policies, and ${ATTACHED - 1} can be attached to the role `
        + 'that swaps them: set some to `mode: replay`, or watch them from a second stack',
      );
    }
    const policies = rest.map((some, n) => [`SwapMorePolicy${n + 1}`, {
      Type: 'AWS::IAM::ManagedPolicy',
      Properties: { Roles: [{ Ref: ROLE }], PolicyDocument: { Version: '2012-10-17', Statement: [allow(some)] } },
    }]);
    return { Resources: Object.fromEntries(policies) };
  },
};
