//go:build !cgo

package pyshim

// Building with CGO_ENABLED=0 or without gcc stops here; the name says why.
var _ = wsgid_needs_cgo_and_gcc_because_it_loads_libpython_at_run_time
