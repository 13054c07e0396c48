// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

// BufferAtMost sets how many entries of a row are copied, and returns what sets
// it back.
func BufferAtMost(n int) (restore func()) {
	before := mostBuffered
	mostBuffered = n
	return func() { mostBuffered = before }
}
