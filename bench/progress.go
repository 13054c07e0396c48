// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar shows progress on standard error: a bar on a terminal, and elsewhere a
// line for each thing that is begun.
type bar struct{ terminal *progressbar.ProgressBar }

func newBar(steps int) *bar {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &bar{}
	}
	return &bar{terminal: progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
	)}
}

func (b *bar) describe(what string) {
	if b.terminal == nil {
		fmt.Fprintln(os.Stderr, what)
		return
	}
	b.terminal.Describe(fmt.Sprintf("%-46s", what))
}

func (b *bar) step() {
	if b.terminal != nil {
		_ = b.terminal.Add(1)
	}
}
