//go:build full

package tests

import "testing"

// TestStacksOfPythons: services, the router and the dispatch helper tell their stacks on
// every Python of the machine.
func TestStacksOfPythons(t *testing.T) {
	for number, python := range newWorld(t).Pythons() {
		t.Run(python.Version+"/service", func(t *testing.T) {
			w := newWorld(t) // whose users can read that Python
			checkServiceStacks(t, w, w.Pythons()[number])
		})
		for _, isolation := range []string{"none", "process"} {
			t.Run(python.Version+"/router, isolation "+isolation, func(t *testing.T) {
				w := newWorld(t)
				checkRouterStacks(t, w, w.Pythons()[number], isolation)
			})
		}
	}
}
