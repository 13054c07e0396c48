// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"example.org/logsoftmax"
)

// step is what an iteration of the training reached.
type step struct {
	iteration int // 0 is the start
	objective float64
	gradient  float64 // largest element
	testLoss  float64
}

// history is an optimize.Recorder that keeps the learning curve.
type history struct {
	test   dataset
	steps  []step
	follow func(step) // if not nil, is told of each step as it is made
}

// Init implements optimize.Recorder.
func (h *history) Init() error {
	h.steps = nil
	return nil
}

// Record implements optimize.Recorder.
func (h *history) Record(at *optimize.Location, op optimize.Operation, stats *optimize.Stats) error {
	switch op {
	case optimize.MajorIteration:
	case optimize.PostIteration:
		// The iteration that ends the training is announced only so.
		if stats.MajorIterations == len(h.steps) {
			return nil
		}
	default:
		return nil
	}
	m := modelOf(at.X)
	loss, err := logsoftmax.LinearCrossEntropy(h.test.pixels, m.w, m.b, h.test.labels, nil)
	if err != nil {
		return err
	}
	s := step{
		iteration: len(h.steps),
		objective: at.F,
		gradient:  floats.Norm(at.Gradient, math.Inf(1)),
		testLoss:  loss.Mean(),
	}
	h.steps = append(h.steps, s)
	if h.follow != nil {
		h.follow(s)
	}
	return nil
}
