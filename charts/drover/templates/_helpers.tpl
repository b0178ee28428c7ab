{{/* What every object of a release is called. Only the release's part is cut, so that nothing else of a long one
has the same name, and the end by which drover doctor knows the Lease stays. */}}
{{- define "drover.name" -}}
{{- if eq .Release.Name .Chart.Name }}drover-controller{{ else }}{{ .Release.Name | trunc 45 | trimSuffix "-" }}-drover-controller{{ end }}
{{- end }}

{{- define "drover.selector" -}}
app.kubernetes.io/name: drover-controller
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* A version may have a + and what it was built from, which neither a label nor an image's tag takes. */}}
{{- define "drover.labels" -}}
{{ include "drover.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* These labels, and those that a value asks for, which win. */}}
{{- define "drover.labelsWith" -}}
{{- merge (deepCopy (index . 1 | default dict)) (include "drover.labels" (index . 0) | fromYaml) | toYaml }}
{{- end }}

{{- define "drover.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "drover.name" .) }}
{{- else }}{{ required "serviceAccount.name: name an existing ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* An image: its digest if it has one, else its tag. */}}
{{- define "drover.image" -}}
{{- $image := index . 0 -}}{{- $chart := index . 1 -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default ($chart.AppVersion | replace "+" "_") }}{{ end }}
{{- end }}

{{/* Variables of the controller that values set: a second one of a name is refused by the API server, or lost. */}}
{{- define "drover.ownEnv" -}}
["DROVER_WORKER_IMAGE", "DROVER_WORKER_IMAGE_PULL_POLICY", "DROVER_WORKER_USER_BY_PLATFORM", "DROVER_NAMESPACES", "DROVER_LEASE", "DROVER_LEASE_SECONDS", "DROVER_TOKEN_HOSTS", "DROVER_STATE_DIR", "DROVER_LOG", "DROVER_LOG_FORMAT", "POD_NAME", "POD_NAMESPACE"]
{{- end }}

{{/* What the controller does to the API of the namespaces that it looks after: exactly the verbs that it uses. */}}
{{- define "drover.rules" -}}
- apiGroups: [drover.dev]
  resources: [kafkaconsumers]
  verbs: [list, watch]
- apiGroups: [drover.dev]
  resources: [kafkaconsumers/status]
  verbs: [patch]
# With mode External, a size for the autoscaler to begin with where nobody has set one.
- apiGroups: [drover.dev]
  resources: [kafkaconsumers/scale]
  verbs: [patch]
- apiGroups: [drover.dev]
  resources: [deadletterreplays]
  verbs: [list, watch]
- apiGroups: [drover.dev]
  resources: [deadletterreplays/status]
  verbs: [patch]
# Owner references that block the owner's deletion need this where the admission plug-in
# OwnerReferencesPermissionEnforcement is on (OpenShift).
- apiGroups: [drover.dev]
  resources: [kafkaconsumers/finalizers, deadletterreplays/finalizers]
  verbs: [update]
# Children. Server-side apply needs create as well as patch.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# Those that a template names are asked for by name, as Secrets are.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
# The Jobs of DeadLetterReplays; they go with their owners.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create]
# Trouble of pods is told in status; which pod leaves is chosen by an annotation.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# Secrets that a template names: whether they and their keys exist, and whether they changed. They are asked for
# by name; there is no right to list them.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What it does where its Lease is: to its own alone, but that a right to create has no name. */}}
{{- define "drover.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "drover.name" . }}]
  verbs: [get, update]
{{- end }}

{{/* Who has these rights. */}}
{{- define "drover.subjects" -}}
- kind: ServiceAccount
  name: {{ include "drover.serviceAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/* Who is let in: to the admin port only, which is 9090 and has one name in controllers and workers. */}}
{{- define "drover.ingress" -}}
- ports:
    - {port: admin, protocol: TCP}
  {{- with .Values.networkPolicy.metricsFrom }}
  from: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
