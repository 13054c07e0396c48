// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build purego || noasm || safe || !amd64

package logsoftmax

// expSumAhead is expSum; only the kernels of amd64 prefetch.
func expSumAhead(dst, x []float64, max float64, _, _ []float64) (count, hi, lo float64) {
	return expSum(dst, x, max)
}
