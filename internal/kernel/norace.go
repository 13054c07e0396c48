// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

//go:build !race && (amd64 || arm64) && !purego && !noasm && !safe

package kernel

func raceReadSlice([]float64) {}

func raceWriteSlice([]float64) {}

func raceReadRows(x []float64, stride, n, width int) {}

func raceWriteRows(x []float64, stride, n, width int) {}

func raceReadFactor(a Factor, rows, n int) {}
