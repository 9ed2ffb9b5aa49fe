// Package harness builds a throw-away world for one end-to-end test: a short
// directory that every user can read, configuration files, the real wsgid
// binary, a real web server in front of it, an HTTP client, and the checks
// that nothing is left when the test is over.
//
// It must not know what a test wants to show, and it uses wsgid only from the
// outside: the command line, sockets, logs and /proc.
package harness

import "time"

// Patience bounds every wait for an event. It is no measure of speed: it only
// turns a hang into a failure, also under the race detector on a busy machine.
const Patience = 60 * time.Second
