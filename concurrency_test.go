// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"example.org/logsoftmax/internal/testkit"
)

// TestConcurrent calls every function from many goroutines on shared inputs,
// with GOMAXPROCS changing, and asks for the bits that one goroutine gets.
func TestConcurrent(t *testing.T) {
	shapes := [][2]int{{1, 3}, {100, 10}, {33, 65}, {7, 300}, {700, 90}, {3, 5000}, {2500, 20}, {1, 140_000}}
	goroutines, rounds := 12, 3
	if testkit.Long() == 0 {
		goroutines, rounds = 6, 1
	}

	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	problems, wants := make([]problem, len(shapes)), make([]*results, len(shapes))
	for n, shape := range shapes {
		problems[n] = newProblem(uint64(n), shape[0], shape[1])
		wants[n] = problems[n].all(t, identity)
	}

	var workers sync.WaitGroup
	for g := range goroutines {
		workers.Go(func() {
			for k := range rounds * len(shapes) {
				n := (g + k) % len(shapes)
				layout := layouts[(g+k/len(shapes))%4]
				got := problems[n].all(t, layout.of)
				got.same(t, fmt.Sprintf("%v %s", shapes[n], layout.name), wants[n])
			}
		})
	}
	done := make(chan bool)
	go func() {
		workers.Wait()
		close(done)
	}()
	for p := 0; ; p++ {
		select {
		case <-done:
			return
		default:
			runtime.GOMAXPROCS(1 + p*5%9)
			runtime.Gosched()
		}
	}
}
