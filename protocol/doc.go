// Package protocol is a FastCGI 1.0 codec for both directions: strict towards
// the peer, bounded in memory, and without allocations on the path of an
// ordinary request.
//
// It knows records, streams, name-value pairs and the state of one
// connection. It must not know what a parameter means, which application
// serves a request, or how a worker is found; it logs nothing and imports no
// other package of this module.
package protocol
