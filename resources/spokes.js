'use strict';
// A hub watches endpoints of other accounts and regions: `param:spokes` lists them, deploy/spoke.yml is their side.
// Their events come on a bus of their own, on which no rule hears Sagewatch's facts: a spoke can tell of captures and jobs,
// and can neither raise a finding nor press a button.

const { MANAGED, measure } = require('./policy_size.js');

const SPOKE = /^(\d{12})\/([a-z]{2,4}(?:-[a-z]+)+-\d)\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9-]+))?$/;
const STACK = '${self:service}-${sls:stage}';
const LONGEST_PATTERN = 2048;
const LAMBDAS = ['IngestCaptureRole', 'IngestReportRole', 'AdvanceDiagnosisRole', 'DeliverAlertRole'];

const ref = (id) => ({ Ref: id });
const attribute = (id, name) => ({ 'Fn::GetAtt': [id, name] });
// The backtick keeps osls from reading CloudFormation's own variables.
const arn = (rest) => ({ 'Fn::Sub': `arn:$\{AWS::Partition}:${rest}` });
// deploy/spoke.yml names its reader by the hub's region without hyphens, and by its own.
const inThisRegion = (rest) => ({
  'Fn::Sub': [arn(rest)['Fn::Sub'], { Region: { 'Fn::Join': ['', { 'Fn::Split': ['-', ref('AWS::Region')] }] } }],
});
const unique = (values) => [...new Set(values)].sort();

async function readSpokes(resolveVariable) {
  const given = String(await resolveVariable('param:spokes')).split(',').map((one) => one.trim()).filter(Boolean);
  return given.map((one) => {
    const found = SPOKE.exec(one);
    if (!found) throw new Error(`spokes: ${one} is not ACCOUNT/REGION/BUCKET or ACCOUNT/REGION/BUCKET/KMS-KEY-ID`);
    const [, account, region, bucket, key] = found;
    return { account, region, bucket, key };
  });
}

const rule = (description, pattern, queue) => ({
  Type: 'AWS::Events::Rule',
  Properties: {
    Description: description,
    EventBusName: ref('SpokeBus'),
    EventPattern: pattern,
    Targets: [{ Id: 'queue', Arn: attribute(`${queue}Queue`, 'Arn'), DeadLetterConfig: { Arn: attribute(`${queue}DeadLetters`, 'Arn') } }],
  },
});

const policy = (roles, statements) => ({
  Type: 'AWS::IAM::ManagedPolicy',
  Properties: { Roles: roles.map(ref), PolicyDocument: { Version: '2012-10-17', Statement: statements } },
});

function build(spokes, bus, prefix) {
  const accounts = unique(spokes.map((one) => one.account));
  const buckets = unique(spokes.map((one) => one.bucket));
  const keys = unique(spokes.filter((one) => one.key).map((one) => `kms:${one.region}:${one.account}:key/${one.key}`));
  const readers = unique(spokes.map((one) => `iam::${one.account}:role/${STACK}-$\{AWS::AccountId}$\{Region}-${one.region.replace(/-/g, '')}`));
  const mayRead = [
    { Sid: 'ReadSpokes', Effect: 'Allow', Action: 's3:GetObject', Resource: buckets.map((one) => arn(`s3:::${one}/*`)) },
    { Sid: 'MissInSpokes', Effect: 'Allow', Action: 's3:ListBucket', Resource: buckets.map((one) => arn(`s3:::${one}`)) },
    ...(keys.length ? [{ Sid: 'UseSpokesKeys', Effect: 'Allow', Action: 'kms:Decrypt', Resource: keys.map(arn) }] : []),
  ];
  return {
    SpokeBus: { Type: 'AWS::Events::EventBus', Properties: { Name: `${bus}-spokes` } },
    SpokeBusPolicy: {
      Type: 'AWS::Events::EventBusPolicy',
      Properties: {
        EventBusName: ref('SpokeBus'),
        StatementId: 'spokes',
        Statement: {
          Effect: 'Allow',
          Principal: { AWS: accounts.map((one) => arn(`iam::${one}:root`)) },
          Action: 'events:PutEvents',
          Resource: attribute('SpokeBus', 'Arn'),
        },
      },
    },
    SpokeCaptureRule: rule(
      'A capture file was written in a spoke',
      {
        source: ['aws.s3'],
        account: accounts,
        'detail-type': ['Object Created'],
        detail: { bucket: { name: buckets }, object: { key: [{ wildcard: `${prefix}/*.jsonl` }] } },
      },
      'Capture',
    ),
    SpokeJobRule: rule(
      'A processing job of a spoke ended; whether it was a monitor\'s, only its description tells',
      {
        source: ['aws.sagemaker'],
        account: accounts,
        'detail-type': ['SageMaker Processing Job State Change'],
        detail: { ProcessingJobStatus: ['Completed', 'Failed', 'Stopped'] },
      },
      'Report',
    ),
    SpokeCapturesPolicy: policy(LAMBDAS, mayRead),
    SpokeJobsPolicy: policy(['IngestReportRole'], [
      { Sid: 'LookAtSpokesJobs', Effect: 'Allow', Action: 'sts:AssumeRole', Resource: readers.map(inThisRegion) },
    ]),
  };
}

// EventBridge and IAM would refuse it in the middle of a deployment.
function refuseTooMany(spokes, resources) {
  for (const [id, { Type: type, Properties: made }] of Object.entries(resources)) {
    const length = type === 'AWS::IAM::ManagedPolicy' ? measure(made.PolicyDocument) : measure(made.EventPattern || {});
    const most = type === 'AWS::IAM::ManagedPolicy' ? MANAGED : LONGEST_PATTERN;
    if (length > most) {
      throw new Error(`spokes: ${spokes.length} are too many for one hub: ${id} becomes ${length} letters long and may have ${most}; let a second hub watch some`);
    }
  }
  return resources;
}

const rulesOf = (own, ofSpokes) => async ({ resolveVariable }) => {
  const spokes = await readSpokes(resolveVariable);
  return [own, ...(spokes.length ? [ofSpokes] : [])].map((id) => attribute(id, 'Arn'));
};

module.exports = {
  // What the policies of two queues let in.
  captureRules: rulesOf('CaptureRule', 'SpokeCaptureRule'),
  reportRules: rulesOf('MonitoringJobRule', 'SpokeJobRule'),
  resources: async ({ resolveVariable }) => {
    const spokes = await readSpokes(resolveVariable);
    if (!spokes.length) return { Resources: {} };
    const [bus, prefix] = [await resolveVariable('param:eventBus'), await resolveVariable('param:capturePrefix')];
    return {
      Resources: refuseTooMany(spokes, build(spokes, bus, prefix)),
      Outputs: { SpokeBusArn: { Value: attribute('SpokeBus', 'Arn') } },
    };
  },
};
