package main

import "testing"

// TestUnitState: a service that reloads runs, and one that is being stopped has not ended.
func TestUnitState(t *testing.T) {
	for _, tt := range []struct {
		active      string
		runs, ended bool
	}{
		{"active", true, false}, {"reloading", true, false}, {"refreshing", true, false},
		{"activating", false, false}, {"deactivating", false, false},
		{"inactive", false, true}, {"failed", false, true},
	} {
		u := &unitState{load: "loaded", active: tt.active, pid: "7", status: "well"}
		line, runs := u.runs()
		if runs != tt.runs || u.ended() != tt.ended || runs && line != "running, pid 7: well" {
			t.Errorf("%s: %q %t, ended %t", tt.active, line, runs, u.ended())
		}
	}
}
