// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	weights    = classes * features // elements of W
	parameters = weights + classes  // elements of W and b
)

// model is multinomial logistic regression: the logits of a scan x are W·x + b,
// and its probabilities are their softmax.
type model struct {
	w *mat.Dense // classes × features
	b []float64  // classes
}

// modelOf returns the model whose parameters lie in theta, W row by row and
// then b. It shares theta's memory: package optimize wants all parameters in
// one slice, and this gives them back their shapes.
func modelOf(theta []float64) model {
	return model{
		w: mat.NewDense(classes, features, theta[:weights]),
		b: theta[weights:parameters],
	}
}

// logits computes x·Wᵀ + b into dst, a row for each row of x.
func (m model) logits(dst *mat.Dense, x mat.Matrix) {
	dst.Mul(x, m.w.T())
	rows, _ := dst.Dims()
	for i := range rows {
		floats.Add(dst.RawRowView(i), m.b)
	}
}
