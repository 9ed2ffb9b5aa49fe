// Package cgroup limits the resources of process groups by control groups of
// the kernel: those of version 2 where the controller is there, else those of
// version 1 (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1 of Linux).
//
// It knows the files of the kernel and nothing of configuration, processes'
// purposes or their life cycle.
package cgroup
