// Package tracing has what wsgid knows of distributed traces: ids and the
// traceparent header (W3C Trace Context), spans, and the exporter that sends them
// to a collector by OTLP over HTTP. It must not know requests, nor who made the
// spans.
//
// Why nothing of the OpenTelemetry SDK is here: its OTLP exporter brings gRPC and
// 11 MB along, and it wants to make spans itself, where ours are finished when they
// come. The generated types of OTLP register themselves when a process starts,
// whether it traces or not. So spans are encoded by hand, with protowire, right into
// the batch that is sent; the tests read them with the generated types.
package tracing
