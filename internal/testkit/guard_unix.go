// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build unix

package testkit

import (
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Guarded is memory with a page on either side that faults when touched.
type Guarded struct {
	elements []float64
	mapping  []byte
}

// NewGuarded returns room for at least n elements.
func NewGuarded(t *testing.T, n int) Guarded {
	t.Helper()
	page := unix.Getpagesize()
	size := (n*int(unsafe.Sizeof(float64(0))) + page - 1) / page * page
	mapping, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mapping); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{mapping[:page], mapping[page+size:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	first := (*float64)(unsafe.Pointer(&mapping[page]))
	return Guarded{unsafe.Slice(first, size/int(unsafe.Sizeof(*first))), mapping}
}

// First returns n elements of which the first is right behind a guard, Last n
// elements of which the last is right before one.
func (g *Guarded) First(n int) []float64 { return g.elements[:n:n] }

func (g *Guarded) Last(n int) []float64 { return g.elements[len(g.elements)-n:] }

// Ends is both places.
var Ends = []struct {
	Name string
	Take func(g *Guarded, n int) []float64
}{
	{"first", (*Guarded).First},
	{"last", (*Guarded).Last},
}

// Fault returns what f panicked with, a Fault of memory included, or nil.
func Fault(f func()) (v any) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { v = recover() }()
	f()
	return nil
}
