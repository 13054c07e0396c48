// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Memory is how much memory one operation takes at its peak on one thread, in
// bytes beyond inputs and results. Where memory is allocated once for many calls
// it counts all the same.
type Memory struct {
	Op Op
	Shape
	Peer  string
	Bytes int64
}

// measureMemory measures the linear cases, where the system tells: an operation
// on logits takes next to nothing here, and elsewhere the size of the matrix.
func measureMemory(peers []Peer, cases []Case, bar *bar) ([]Memory, error) {
	if _, err := resident("VmHWM"); err != nil {
		return nil, nil // not Linux
	}
	var list []Memory
	for _, c := range cases {
		if c.Features == 0 {
			continue
		}
		bar.describe(fmt.Sprintf("memory, %v", c.Shape))
		for _, p := range peers {
			if p.linear == nil {
				continue
			}
			n, err := peakOf(p, c.Shape)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			list = append(list, Memory{LinearGrad, c.Shape, p.Name, n})
		}
	}
	bar.step()
	return list, nil
}

// peakOf loads a batch into a peer and performs LinearGrad once.
func peakOf(p Peer, s Shape) (int64, error) {
	b := NormalBatch(rand.New(rand.NewPCG(1, uint64(s.Cols))), s, 1)
	if p.process {
		w, err := p.linear(b)
		if err != nil {
			return 0, err
		}
		defer w.Close()
		return w.(*python).peak(LinearGrad)
	}
	clear(b.Dst) // memory that is there before
	runtime.GC()
	debug.FreeOSMemory()
	before, err := resident("VmRSS")
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // VmHWM begins anew
		return 0, err
	}
	w, err := p.linear(b)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	if _, err := w.Time(LinearGrad, 1, 1); err != nil {
		return 0, err
	}
	peak, err := resident("VmHWM")
	runtime.KeepAlive(b)
	return max(0, peak-before), err
}

// resident returns a size out of this process's status.
func resident(name string) (int64, error) {
	f := strings.Fields(field("/proc/self/status", name, ":"))
	if len(f) == 0 {
		return 0, fmt.Errorf("the system does not say %s", name)
	}
	kB, err := strconv.ParseInt(f[0], 10, 64)
	return kB << 10, err
}
