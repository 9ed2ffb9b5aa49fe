package supervisor

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsgid/wsgid/internal/status"
)

// TestParseStacks: what a process tells of its threads goes to the threads that the
// kernel knows, whatever it tells.
func TestParseStacks(t *testing.T) {
	serves := map[int]status.Request{0: {Thread: 0, ID: "a", Application: "sub"}, 1: {Thread: 1, ID: "b"}}
	for name, c := range map[string]struct {
		told string
		want []status.Thread
	}{
		"nothing": {"", []status.Thread{{TID: 10, Name: "k"}, {TID: 11, Name: "k"}}},
		"by Python": {"\x01number\x000\x00ident\x00900\x00tid\x0010\n\x01ident\x00900\n  File x\n\x01ident\x00901\x00interpreter\x00main\x00name\x00worker\x00tid\x0011\n  File y\n",
			[]status.Thread{{TID: 10, Name: "k", Request: &status.Request{ID: "a", Application: "sub"}, Application: "sub", Stack: "  File x"}, {TID: 11, Name: "worker", Application: "main", Stack: "  File y"}}},
		"by the threads": {"\x01number\x001\x00ident\x00900\x00tid\x0011\n\x01tid\x0010\nStack:\n  <no Python frame>\n\x01tid\x0011\nStack:\n  File y\n",
			[]status.Thread{{TID: 10, Name: "k"}, {TID: 11, Name: "k", Request: &status.Request{Thread: 1, ID: "b"}, Stack: "Stack:\n  File y", Interrupted: true}}},
		"told by two interpreters, the one that knows its name counts": {"\x01ident\x00901\x00tid\x0011\n  File y\n\x01ident\x00901\x00interpreter\x00sub\x00name\x00n\x00tid\x0011\n  File y\n",
			[]status.Thread{{TID: 10, Name: "k"}, {TID: 11, Name: "n", Application: "sub", Stack: "  File y"}}},
		"lies": {"\x01tid\x00-1\x00number\n\x01\x00\x00\n\x01tid\x00999999999999999999999\n  x\n\x01number\x0070000\x00ident\x005\x00tid\x0010\n\x01ident\x005\x00name\x00a\x1b[1m\n  \x1b[2Jx\n",
			[]status.Thread{{TID: 10, Name: `a\x1b[1m`, Stack: `  \x1b[2Jx`}, {TID: 11, Name: "k"}}},
	} {
		got := joinThreads([]status.Thread{{TID: 10, Name: "k"}, {TID: 11, Name: "k"}}, parseStacks([]byte(c.told)), serves)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestManyStacks: what a process writes costs no more than reading it once.
func TestManyStacks(t *testing.T) {
	told := parseStacks([]byte(strings.Repeat("\x01number\x000\x00ident\x001\x00tid\x001\n\x01ident\x002\x00tid\x002\n  File x\n", maxTold)))
	if len(told) > maxTold {
		t.Errorf("%d threads are believed", len(told))
	}
}

// TestThreadsOf: the kernel tells of this process, and of one that has ended nothing.
func TestThreadsOf(t *testing.T) {
	threads := threadsOf(os.Getpid())
	if len(threads) < 2 || threads[0].TID != os.Getpid() || threads[0].Name == "" || threads[0].State == "" {
		t.Errorf("%+v", threads)
	}
	if threads := threadsOf(1 << 30); len(threads) != 0 {
		t.Errorf("%+v", threads)
	}
}

// TestListenShared: an upgrade can listen beside the one before; others who hold the
// port are named.
func TestListenShared(t *testing.T) {
	first, address, err := listenShared("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, same, err := listenShared(address)
	if err != nil || same != address {
		t.Fatalf("%v %s", err, same)
	}
	second.Close()
	alone, taken, err := listenTCP("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	if _, _, err := listenShared(taken); err == nil || err.Error() != fmt.Sprintf("listen on %s: listen tcp %s: bind: address already in use", taken, taken) {
		t.Error(err)
	}
}
