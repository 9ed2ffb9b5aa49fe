// Package dispatch is the router: it accepts FastCGI (and plain HTTP) from
// front servers, finds the mount of each request, asks the dispatch script,
// waits for a free thread of the process group and forwards.
//
// Everything it knows comes over internal/wire: it must not read configuration
// files, look at processes or start any. Python is behind the ScriptHost
// interface; only python_host.go knows the package that implements it.
//
// One goroutine serves one front connection from reading the request to
// writing the answer, with blocking calls; it sets no deadlines. Time is
// watched from outside by one housekeeping goroutine (housekeeping.go), which
// ends whatever has to end by killing the exchange.
package dispatch
