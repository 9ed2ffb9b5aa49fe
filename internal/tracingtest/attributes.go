package tracingtest

import common "go.opentelemetry.io/proto/slim/otlp/common/v1"

// attributes are texts, and numbers as int.
func attributes(of interface{ GetAttributes() []*common.KeyValue }) map[string]any {
	all := map[string]any{}
	for _, a := range of.GetAttributes() {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.Key] = int(v.IntValue)
		default:
			all[a.Key] = v
		}
	}
	return all
}
