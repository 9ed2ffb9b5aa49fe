// Command wsgid is the one binary of wsgid: the command line, the supervisor
// (wsgid run, wsgid serve) and, when the supervisor started it, the router, the
// dispatch helper or the monitor.
// Workers never get here: they are taken over before the Go runtime starts. It
// must not know how anything is done: a verb reads its options and calls one
// of the packages below.
package main

import "os"

func main() {
	if code, is := routerRole(); is {
		os.Exit(code)
	}
	if code, is := dispatcherRole(); is {
		os.Exit(code)
	}
	if code, is := monitorRole(); is {
		os.Exit(code)
	}
	os.Exit(execute(os.Args[1:]))
}
