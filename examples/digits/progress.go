// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// newProgress returns a function that shows on the terminal out how far the
// training has come, and one that wipes the bar off again. Where out is not a
// terminal, neither writes anything.
//
// Nobody knows how many iterations are left, but the training ends when the
// gradient has fallen to the tolerance, and it falls by about as many powers of
// ten in each stretch of time. So the bar shows powers of ten.
func newProgress(out *os.File) (follow func(step), finish func()) {
	if !term.IsTerminal(int(out.Fd())) {
		return nil, func() {}
	}
	const full = 1000
	bar := progressbar.NewOptions(full,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription("training"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	var start float64 // gradient before the first iteration
	done := 0
	follow = func(s step) {
		if s.iteration == 0 {
			start = s.gradient
		}
		// The gradient goes up now and then; the bar does not.
		part := math.Log(start/s.gradient) / math.Log(start/gradientTolerance)
		done = max(done, min(int(part*full), full-1))
		bar.Describe(fmt.Sprintf("iteration %d, gradient %.1e", s.iteration, s.gradient))
		_ = bar.Set(done)
	}
	return follow, func() { _ = bar.Finish() }
}
