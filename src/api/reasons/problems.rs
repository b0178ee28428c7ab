//! Reasons that several conditions share: what is wrong with a spec, with children, with pods.

use super::{Reason, reason, well};
use crate::api::names;

/// Of a spec that is not good, and of what it refers to. The children are left as they were.
pub const SPEC: &[Reason] = &[
    reason(
        names::reason::INVALID_VALUE,
        "a field has a value that it cannot have",
        "correct the field that the message names",
    ),
    reason(
        names::reason::MISSING_FIELD,
        "a field that must be there is not",
        "add it",
    ),
    reason(
        names::reason::UNKNOWN_FIELD,
        "a field does not exist; the API server would drop it",
        "correct its spelling; the message has the nearest name",
    ),
    reason(
        names::reason::CONTRADICTION,
        "two fields contradict each other",
        "change one of them; the message has both, and sums written out",
    ),
    reason(
        names::reason::INVALID_NAME,
        "metadata.name does not do for the children",
        "make the KafkaConsumer under another name; give both the same spec.groupId to go on where it stood",
    ),
    reason(
        names::reason::OWNED_PROPERTY,
        "a librdkafka property is Drover's own, or would break it",
        "take it out; the message names the field that does the same",
    ),
    reason(
        names::reason::SECRET_IN_PROPERTY,
        "a librdkafka property holds a secret, which anybody could read in a pod",
        "use spec.kafka.sasl or spec.kafka.tls with a Secret",
    ),
    reason(
        names::reason::INVALID_TEMPLATE,
        "spec.template says something that Drover decides, or that cannot work",
        "take out what the message names",
    ),
    reason(
        names::reason::GRACE_PERIOD_TOO_SHORT,
        "the pod's grace period is too short for the handler's time-out",
        "raise terminationGracePeriodSeconds or lower spec.handler.timeout, as the sum in the message shows",
    ),
    reason(
        names::reason::SECRET_NOT_FOUND,
        "a Secret that the spec names does not exist",
        "create it, or change the reference; it is looked for again by itself",
    ),
    reason(
        names::reason::CONFIG_MAP_NOT_FOUND,
        "a ConfigMap that the spec names does not exist",
        "create it, or change the reference; it is looked for again by itself",
    ),
    reason(
        names::reason::KEY_NOT_FOUND,
        "a Secret or ConfigMap is there without the key that is asked for",
        "add the key, or change the reference; it is looked for again by itself",
    ),
    reason(
        names::reason::TOPIC_NOT_FOUND,
        "a topic does not exist in Kafka",
        "create it, or change spec.topics; it is looked for again by itself",
    ),
    reason(
        names::reason::UNKNOWN_KIND,
        "a document is no KafkaConsumer of a version that is known; only `drover validate` and `drover render` say so",
        "correct apiVersion and kind",
    ),
    reason(
        names::reason::UNREADABLE,
        "the resource cannot be read at all, such as one that an older version stored",
        "correct what the message names",
    ),
    reason(
        "InvalidSpec",
        "the spec is not good, and no problem has a reason of its own",
        "correct what the message names",
    ),
];

/// Of children that cannot be made as they should be. It is tried again by itself.
pub const CHILDREN: &[Reason] = &[
    reason(
        "ApplyRefused",
        "the API server refuses a child: a right, a quota, or a field that is not valid",
        "the message has its words: grant the right to Drover's service account, raise the quota, or correct spec.template",
    ),
    reason(
        "ApiServerError",
        "the API server does not answer, or not in time",
        "look at the API server; it is tried again",
    ),
    reason(
        "NameTaken",
        "an object of the name that a child needs is not ours; it is left alone",
        "delete or rename it, or choose another name for the KafkaConsumer",
    ),
    reason(
        "Contested",
        "somebody else changes a child as often as it is put right, which is done once a minute at most then; sizes still follow the load",
        "find out who: `kubectl get deployment NAME -o yaml --show-managed-fields`. Two installations of Drover must not look after one namespace, and no other tool may set what spec.template sets",
    ),
    well(
        "PredecessorLeaving",
        "a child of a deleted KafkaConsumer of the same name, or one that somebody deleted, is still being removed",
    ),
    well(
        "NamespaceTerminating",
        "the namespace is being deleted, and the API server makes nothing new in it; it counts as no failure",
    ),
    reason(
        "KafkaCredentials",
        "what connections to Kafka need cannot be read from its Secret, or their tokens would come from where the controller asks nobody",
        "correct the Secret, its name in spec.kafka, or tokenEndpoint",
    ),
    reason(
        "FirstOffsetsNotWritten",
        "the first offsets of the group cannot be written; no pod starts before",
        "the message has Kafka's words: mostly Read on the group is missing for the user of spec.kafka",
    ),
];

/// Of pods that do not run. Kubernetes' own words, of which there are more than here: what a
/// container waits for is passed on as it is.
pub const PODS: &[Reason] = &[
    reason(
        "Unschedulable",
        "no node has room for a pod, or none that it tolerates",
        "add nodes, or lower resources in spec.template",
    ),
    reason(
        "SchedulingGated",
        "scheduling gates hold a pod, and no node is looked for",
        "whoever set schedulingGates in spec.template, or a webhook that sets them, has to lift them",
    ),
    reason(
        "NodeNotReady",
        "Kubernetes hears nothing of a pod's node, and counts the pod as not ready; it may work on",
        "look at the node (`kubectl describe node`): kubelet, network. Kubernetes makes its pods anew elsewhere after five minutes, if no toleration says otherwise",
    ),
    reason(
        "DeploymentPaused",
        "somebody has paused the Deployment (`kubectl rollout pause`): what changes reaches no pod",
        "`kubectl rollout resume deployment/NAME`; to stop the fleet, `drover pause NAME`",
    ),
    reason(
        "QuotaExceeded",
        "a ResourceQuota of the namespace allows no further pod",
        "raise the quota, or lower spec.scaling.maxReplicas and minReplicas, or the template's resources",
    ),
    reason(
        "ResourcesMissing",
        "a ResourceQuota of the namespace counts resources that a container does not name",
        "write them under resources of the container that the message names, in spec.template; Drover's own is named `worker`",
    ),
    reason(
        "LimitRangeViolation",
        "a LimitRange of the namespace does not allow what a pod asks for",
        "correct the resources in spec.template, or the LimitRange",
    ),
    reason(
        "PodSecurityViolation",
        "the namespace's Pod Security level refuses the pod",
        "correct securityContext in spec.template",
    ),
    reason(
        "ReplicaFailure",
        "pods cannot be created, for a reason that has no word of its own",
        "the message has Kubernetes' words",
    ),
    reason(
        "FailedCreate",
        "the API server refuses pods",
        "the message has its words: an admission policy, or a ServiceAccount, PriorityClass or RuntimeClass of spec.template that is not there; create it, or correct its name",
    ),
    reason(
        "NotProgressing",
        "the Deployment does not get on, for a reason that has no word of its own",
        "`kubectl describe deployment`",
    ),
    reason(
        "ProgressDeadlineExceeded",
        "pods of the new template have not become ready in time",
        "`kubectl describe pod`, `drover logs`",
    ),
    reason(
        "CrashLoopBackOff",
        "a container ends again and again",
        "`drover logs NAME -p -c CONTAINER` has the last words of the run before; the message names the container, and has its exit code",
    ),
    reason(
        "ImagePullBackOff",
        "the image cannot be pulled",
        "check the image's name and imagePullSecrets in spec.template; for the worker's own image, worker.image of the chart",
    ),
    reason(
        "ErrImagePull",
        "the image cannot be pulled; it is about to be tried again",
        "as with ImagePullBackOff",
    ),
    reason(
        "CreateContainerConfigError",
        "a container needs a Secret, a ConfigMap or a key that is not there",
        "create it; the message names it",
    ),
    reason(
        "RunContainerError",
        "a container cannot be started",
        "check its command and image; the message has the runtime's words",
    ),
];
