'use strict';
// Sagewatch's eye on itself: what is alarmed on, and the dashboard. Generated, because each question is asked of
// every queue and every function; the answer goes to the operations topic, never to the people on call for models.

const QUEUES = ['Capture', 'Report', 'Incident', 'Diagnosis', 'Alert', 'Monitor', 'Tick'];
const FUNCTIONS = ['ingest_capture', 'ingest_report', 'manage_incident', 'advance_diagnosis', 'deliver_alert', 'slack_action', 'start_monitor', 'tick'];
const BUS = '${param:eventBus}';
const STACK = '${self:service}-${sls:stage}';

const ref = (id) => ({ Ref: id });
const attribute = (id, name) => ({ 'Fn::GetAtt': [id, name] });
const pascal = (name) => name.split('_').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
// osls' own naming: ingest_capture -> IngestUnderscorecaptureLambdaFunction.
const functionId = (name) => `${name[0].toUpperCase()}${name.slice(1).replace(/_/g, 'Underscore')}LambdaFunction`;

function alarm(name, description, properties) {
  return {
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      AlarmName: `${STACK}-${name}`,
      AlarmDescription: description,
      ComparisonOperator: 'GreaterThanThreshold',
      Threshold: 0,
      Period: 60,
      EvaluationPeriods: 1,
      TreatMissingData: 'notBreaching',
      AlarmActions: [ref('OperationsTopic')],
      OKActions: [ref('OperationsTopic')],
      ...properties,
    },
  };
}

const ofQueue = (id, metric, statistic) => ({
  Namespace: 'AWS/SQS',
  MetricName: metric,
  Dimensions: [{ Name: 'QueueName', Value: attribute(id, 'QueueName') }],
  Statistic: statistic,
});

const ofFunction = (name, metric) => ({
  Namespace: 'AWS/Lambda',
  MetricName: metric,
  Dimensions: [{ Name: 'FunctionName', Value: ref(functionId(name)) }],
  Statistic: 'Sum',
});

// A synthetic finding at a steady rate through every hop to a receiver of its own (rehearsal.py), which counts it: what no
// other alarm sees (a rule that matches nothing, a role that lost a right) is noticed here. Its own message marks it.
function canary(minutes) {
  return {
    Type: 'AWS::Scheduler::Schedule',
    Properties: {
      Name: `${STACK}-canary`,
      Description: 'Has tick send a synthetic finding; no person is told of it',
      ScheduleExpression: `rate(${minutes} minutes)`,
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: {
        Arn: attribute('TickQueue', 'Arn'),
        RoleArn: attribute('TickScheduleRole', 'Arn'),
        Input: JSON.stringify({
          source: 'sagewatch',
          'detail-type': 'Canary Due',
          time: '<aws.scheduler.scheduled-time>',
          detail: { replay_name: 'canary.<aws.scheduler.scheduled-time>' },
        }),
        RetryPolicy: { MaximumEventAgeInSeconds: 300, MaximumRetryAttempts: 5 },
      },
    },
  };
}

function readMinutes(given) {
  const minutes = Number(given);
  // Two periods of the alarm have to fit into CloudWatch's longest look back.
  if (Number.isInteger(minutes) && (minutes === 0 || (minutes >= 5 && minutes <= 720))) return minutes;
  throw new Error(`canaryMinutes must be 0 (off) or 5 to 720, not ${given}`);
}

function alarms(minutes) {
  const made = {};
  for (const queue of QUEUES) {
    made[`${queue}DeadLettersAlarm`] = alarm(
      `${queue.toLowerCase()}-dead-letters`,
      'A message was given up: docs/operations.md says how to look at it and send it again.',
      ofQueue(`${queue}DeadLetters`, 'ApproximateNumberOfMessagesVisible', 'Maximum'),
    );
    made[`${queue}AgeAlarm`] = alarm(`${queue.toLowerCase()}-age`, 'The oldest message has waited over five minutes.', {
      ...ofQueue(`${queue}Queue`, 'ApproximateAgeOfOldestMessage', 'Maximum'),
      Threshold: 300,
      EvaluationPeriods: 3,
    });
  }
  for (const name of FUNCTIONS) {
    made[`${pascal(name)}ErrorsAlarm`] = alarm(`${name}-errors`, 'The function raised errors in three of five minutes.', {
      ...ofFunction(name, 'Errors'),
      EvaluationPeriods: 5,
      DatapointsToAlarm: 3,
    });
    made[`${pascal(name)}ThrottlesAlarm`] = alarm(
      `${name}-throttles`,
      'The account or the function is out of concurrency: what waits in the queue comes later.',
      { ...ofFunction(name, 'Throttles'), EvaluationPeriods: 5, DatapointsToAlarm: 3 },
    );
  }
  // Whoever presses a button waits: beyond three seconds Slack tells them that it failed.
  const { Statistic: _, ...duration } = ofFunction('slack_action', 'Duration');
  made.SlackActionSlowAlarm = alarm('slack_action-slow', 'Buttons of Slack messages are answered too late for Slack (3 s).', {
    ...duration,
    ExtendedStatistic: 'p90',
    Threshold: 2500,
    EvaluationPeriods: 3,
  });
  made.HeartbeatAlarm = alarm('heartbeat', 'tick has not run for five minutes: deadlines are not watched.', {
    ...ofFunction('tick', 'Invocations'),
    ComparisonOperator: 'LessThanThreshold',
    Threshold: 1,
    EvaluationPeriods: 5,
    TreatMissingData: 'breaching',
  });
  // A deadline is acted on by the next tick; ten minutes later something is in the way of that.
  made.DiagnosisOverdueAlarm = alarm('diagnosis-overdue', 'A diagnosis is ten minutes past its deadline: an endpoint may still be recording.', {
    Namespace: 'Sagewatch',
    MetricName: 'DiagnosisOverdue',
    Dimensions: [{ Name: 'EventBus', Value: BUS }],
    Statistic: 'Maximum',
    Threshold: 600,
    EvaluationPeriods: 3,
  });
  if (minutes) {
    made.CanaryAlarm = alarm('canary', 'No canary has come out at the end of the path for two periods: real alerts may not either.', {
      Namespace: 'Sagewatch',
      MetricName: 'CanaryArrived',
      Dimensions: [{ Name: 'EventBus', Value: BUS }],
      Statistic: 'Sum',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      Period: 60 * minutes,
      EvaluationPeriods: 2,
      TreatMissingData: 'breaching',
    });
  }
  made.AlertsAtRiskAlarm = composite(Object.keys(made).filter((id) => !/(Errors|Throttles|Slow)Alarm$/.test(id)));
  return made;
}

// The one to be woken by: errors, throttles and slow buttons heal by themselves as long as nothing waits long or is given up.
function composite(ids) {
  const rule = ids.flatMap((id, n) => [n ? ' OR ALARM("' : 'ALARM("', ref(id), '")']);
  return {
    Type: 'AWS::CloudWatch::CompositeAlarm',
    Properties: {
      AlarmName: `${STACK}-alerts-at-risk`,
      AlarmDescription: 'Sagewatch may miss an incident, tell of it late, or leave an endpoint recording. Page on this one.',
      AlarmRule: { 'Fn::Join': ['', rule] },
      AlarmActions: [ref('OperationsTopic')],
      OKActions: [ref('OperationsTopic')],
    },
  };
}

// Inside Fn::Sub, a resource is named ${Id} or ${Id.Attribute}. The backtick keeps osls from reading it.
const sub = (expression) => '$' + `{${expression}}`;

function widget(title, x, y, metrics, options = {}) {
  return {
    type: 'metric', x, y, width: 8, height: 6,
    properties: { title, region: sub('AWS::Region'), view: 'timeSeries', stat: 'Sum', period: 60, metrics, ...options },
  };
}

const search = (schema, metric, stat, where = '') => [
  [{ expression: `SEARCH('{${schema}} MetricName="${metric}"${where}', '${stat}', 60)` }],
];
const OURS = {
  predictions: (where) => search('Sagewatch,Endpoint,Variant', 'Predictions', 'Sum', where),
  classes: (where) => search('Sagewatch,Endpoint,Variant,Class', 'PredictedClass', 'Sum', where),
  // The detectors' evidence in orders of magnitude; above 0 is a finding.
  evidence: (where) => search('Sagewatch,Endpoint,Variant,Detector', 'Log10Excess', 'Maximum', where),
  rejected: (where) => search('Sagewatch,Endpoint,Variant', 'RejectedLines', 'Sum', where),
  violations: (where) => search('Sagewatch,Endpoint,MonitoringSchedule,Kind', 'violation_count', 'Maximum', where),
};

const dashboard = (name, body) => ({
  Type: 'AWS::CloudWatch::Dashboard',
  Properties: { DashboardName: name, DashboardBody: { 'Fn::Sub': JSON.stringify(body) } },
});

function fleetDashboard() {
  const queues = (suffix, metric) => QUEUES.map((q) => ['AWS/SQS', metric, 'QueueName', sub(`${q}${suffix}.QueueName`)]);
  const functions = (metric) => FUNCTIONS.map((f) => ['AWS/Lambda', metric, 'FunctionName', sub(functionId(f))]);
  const widgets = [
    widget('Predictions', 0, 0, OURS.predictions()),
    widget('Most frequent classes', 8, 0, OURS.classes()),
    widget('Evidence (0 is the alarm)', 16, 0, OURS.evidence()),
    widget('Oldest message, seconds', 0, 6, queues('Queue', 'ApproximateAgeOfOldestMessage'), { stat: 'Maximum' }),
    widget('Messages given up', 8, 6, queues('DeadLetters', 'ApproximateNumberOfMessagesVisible'), { stat: 'Maximum' }),
    widget('Errors', 16, 6, functions('Errors')),
    widget('Duration, ms', 0, 12, functions('Duration'), { stat: 'p95' }),
    widget('Throttles', 8, 12, functions('Throttles')),
    widget('Invocations', 16, 12, functions('Invocations')),
  ];
  return dashboard(STACK, { widgets });
}

// One dashboard for whichever endpoint is chosen at its top: CloudWatch puts the name wherever the pattern stands.
const CHOSEN = 'CHOSEN-ENDPOINT';

function endpointDashboard() {
  const ours = ` Endpoint="${CHOSEN}"`;
  const hosting = (metric, stat) => search('AWS/SageMaker,EndpointName,VariantName', metric, stat, ` EndpointName="${CHOSEN}"`);
  const widgets = [
    widget('Predictions', 0, 0, OURS.predictions(ours)),
    widget('Most frequent classes', 8, 0, OURS.classes(ours)),
    widget('Evidence (0 is the alarm)', 16, 0, OURS.evidence(ours)),
    widget('Violations of the monitor', 0, 6, OURS.violations(ours)),
    widget('Capture lines that could not be read', 8, 6, OURS.rejected(ours)),
    widget('Invocations', 16, 6, hosting('Invocations', 'Sum')),
    widget('Model latency, microseconds', 0, 12, hosting('ModelLatency', 'p95')),
    widget('Refused requests (4XX)', 8, 12, hosting('Invocation4XXErrors', 'Sum')),
    widget('Failed requests (5XX)', 16, 12, hosting('Invocation5XXErrors', 'Sum')),
  ];
  const variables = [
    {
      type: 'pattern', pattern: CHOSEN, id: 'endpoint', label: 'Endpoint', inputType: 'select', visible: true, defaultValue: '__FIRST',
      search: '{Sagewatch,Endpoint,Variant} MetricName="Predictions"', populateFrom: 'Endpoint',
    },
  ];
  return dashboard(`${STACK}-endpoint`, { variables, widgets });
}

// Saved in Logs Insights under the stack's name: the questions that runbooks ask of the functions' logs.
function queries() {
  const groups = FUNCTIONS.map((name) => `/aws/lambda/${STACK}-${name}`);
  const make = (name, text) => ({
    Type: 'AWS::Logs::QueryDefinition',
    Properties: { Name: `${STACK}/${name}`, LogGroupNames: groups, QueryString: text.join('\n| ') },
  });
  return {
    ErrorsQuery: make('errors', [
      'fields @timestamp, @log, level, message, reason, exception_name',
      'filter level = "ERROR"',
      'sort @timestamp desc',
    ]),
    GivenUpQuery: make('rejected, retried and refused', [
      'fields @timestamp, @log, message, reason, operation, where, key, incident_id, receiver, replay',
      'filter message in ["record_rejected", "record_retried", "record_refused", "alert_refused"]',
      'sort @timestamp desc',
    ]),
    IncidentQuery: make('one incident (put its id in)', [
      'fields @timestamp, @log, message, decision, reason, receiver, endpoint',
      'filter incident_id = "20261121T203405Z-d70a35fb2065c43a"',
      'sort @timestamp asc',
    ]),
    DecisionsQuery: make('findings and decisions', [
      'fields @timestamp, endpoint, variant, message, decision, reason, fingerprint',
      'filter message in ["finding_raised", "finding_told_on", "finding_cleared", "finding_folded", "diagnosis_step", "alert_sent"]',
      'sort @timestamp desc',
    ]),
  };
}

module.exports = async ({ resolveVariable }) => {
  const minutes = readMinutes(await resolveVariable('param:canaryMinutes'));
  const schedule = minutes ? { CanarySchedule: canary(minutes) } : {};
  return { Resources: { ...alarms(minutes), ...schedule, ...queries(), Dashboard: fleetDashboard(), EndpointDashboard: endpointDashboard() } };
};
