// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A task is work in units that may be done in any order and at once. What a
// unit is depends on the task's shape alone, never on how many goroutines
// there are, so that the results do not either.
type task interface {
	do(w *workspace, unit int)
}

// A headed task begins with units that take longer than those after them: so many
// are taken one by one.
type headed interface {
	heads() int
}

// parallelWork is how many matrix elements' worth of work pays for a
// goroutine.
const parallelWork = 1 << 15

// run does all units of t, of the given work in all, on at most GOMAXPROCS
// goroutines, the caller's among them, and returns when they are done.
func run(t task, units, work int) {
	w := workspaces.Get().(*workspace)
	w.run(t, units, work)
	w.release()
}

// run is the same for a caller that has a workspace.
func (w *workspace) run(t task, units, work int) {
	procs := goroutines(units, work)
	if procs == 1 {
		for u := range units {
			t.do(w, u)
		}
		return
	}
	c := crews.Get().(*crew)
	c.task, c.units, c.size, c.heads = t, int64(units), int64(procs), 0
	if h, ok := t.(headed); ok {
		c.heads = int64(h.heads())
	}
	c.next.Store(0)
	c.members.Add(procs - 1)
	for range procs - 1 {
		go c.help()
	}
	c.work(w)
	c.members.Wait()
	c.task = nil
	crews.Put(c)
}

// goroutines returns how many goroutines are worth their while.
func goroutines(units, work int) int {
	n := min(units, work/parallelWork)
	if n <= 1 {
		// GOMAXPROCS takes a lock.
		return 1
	}
	return min(n, runtime.GOMAXPROCS(0))
}

// A crew shares out the units of a task.
type crew struct {
	task    task
	units   int64
	size    int64 // how many goroutines it is
	heads   int64 // of a headed task
	next    atomic.Int64
	members sync.WaitGroup
}

var crews = sync.Pool{New: func() any { return new(crew) }}

func (c *crew) help() {
	defer c.members.Done()
	w := workspaces.Get().(*workspace)
	c.work(w)
	w.release()
}

func (c *crew) work(w *workspace) {
	for {
		first, end := c.take()
		if first == end {
			break
		}
		for u := first; u < end; u++ {
			c.task.do(w, int(u))
		}
	}
}

// take returns the units to do next, from first to end, or none when there are no
// more. Those of one goroutine follow each other as long as can be: each unit
// fetches what the next one reads and writes, which another processor would have
// to take back. But the last are taken one by one, so that all end together.
func (c *crew) take() (first, end int64) {
	for {
		first = c.next.Load()
		left := c.units - first
		end = first + min(left, 1)
		if first >= c.heads {
			end = first + min(left, max(1, left/(2*c.size)))
		}
		if left == 0 || c.next.CompareAndSwap(first, end) {
			return first, end
		}
	}
}

// groupRows returns the number of rows whose losses are added up one by one
// before the sum is merged into that of the batch. It depends on the number
// of classes alone, so the sums do not depend on how the rows are shared out;
// and it is a multiple of 8 where it is not less, so that rows in lanes fill
// their vectors.
func groupRows(classes int) int {
	n := unitEntries(classes) / classes
	if n >= 8 {
		return n &^ 7
	}
	return max(n, 1)
}
