// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build (amd64 || arm64) && !purego && !noasm && !safe

package kernel

// checkStrip panics unless x holds n entries, at least 1, of each of so many
// slices that lie side by side: what a wrapper asks before it hands a pointer to
// assembly.
func checkStrip(x []float64, stride, n, cols int) {
	_ = x[(n-1)*stride:][:cols]
}

// checkRows is the same for groups of rows of cols entries.
func checkRows(x []float64, stride, cols, groups int) {
	_ = x[(groups*Group-1)*stride:][:cols]
}
