// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"example.org/logsoftmax"
)

// gradientTolerance is the largest gradient element that counts as none.
const gradientTolerance = 1e-8

// objective is what training minimises over the parameters theta of a model,
//
//	mean cross-entropy of the training rows + lambda/2 · ‖W‖²,
//
// in the form that optimize.Problem asks for. The biases are not penalised.
//
// Package optimize asks for the value and for the gradient at a point in two
// calls. LinearCrossEntropyGrad finds both at once, so the first call computes
// both and the second finds them here.
type objective struct {
	train  dataset
	lambda float64

	point    []float64 // where value, gradient and err hold; nil: nowhere yet
	value    float64
	gradient []float64
	err      error

	evaluations int
}

// Func implements optimize.Problem.Func.
func (o *objective) Func(theta []float64) float64 {
	o.evaluate(theta)
	return o.value
}

// Grad implements optimize.Problem.Grad.
func (o *objective) Grad(gradient, theta []float64) {
	o.evaluate(theta)
	copy(gradient, o.gradient)
}

// Status implements optimize.Problem.Status, which is the way out for an error:
// Func and Grad return none, and optimize asks for the status after each of
// their calls.
func (o *objective) Status() (optimize.Status, error) {
	if o.err != nil {
		return optimize.Failure, o.err
	}
	return optimize.NotTerminated, nil
}

// evaluate computes the value and the gradient at theta unless it just did.
func (o *objective) evaluate(theta []float64) {
	if o.point != nil && slices.Equal(o.point, theta) {
		return
	}
	// A copy, since optimize uses one slice for all of its points.
	o.point = append(o.point[:0], theta...)
	o.evaluations++

	if o.gradient == nil {
		o.gradient = make([]float64, parameters)
	}
	m, g := modelOf(theta), modelOf(o.gradient)
	loss, err := logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{W: g.w, B: g.b}, o.train.pixels, m.w, m.b, o.train.labels, nil)
	if err != nil {
		o.value, o.err = math.NaN(), err
		return
	}
	o.value = loss.Mean() + o.lambda/2*floats.Dot(theta[:weights], theta[:weights])
	floats.AddScaled(o.gradient[:weights], o.lambda, theta[:weights])
}

// fit is a trained model and how it came about.
type fit struct {
	model       model
	objective   float64
	gradient    float64 // its largest element
	iterations  int
	evaluations int // of value and gradient together
}

// train minimises the objective from zero. It is an error if the gradient's
// largest element does not fall below gradientTolerance in maxIterations.
func train(data dataset, lambda float64, maxIterations int, recorder optimize.Recorder) (fit, error) {
	o := objective{train: data, lambda: lambda}
	problem := optimize.Problem{Func: o.Func, Grad: o.Grad, Status: o.Status}
	settings := optimize.Settings{
		GradientThreshold: gradientTolerance,
		// The default would stop when the value has all but ceased to fall,
		// whatever the gradient.
		Converger:       optimize.NeverTerminate{},
		MajorIterations: maxIterations,
		Recorder:        recorder,
	}
	result, err := optimize.Minimize(problem, make([]float64, parameters), &settings, &optimize.LBFGS{})
	if o.err != nil {
		return fit{}, fmt.Errorf("training: %w", o.err)
	}
	if err == nil && result.Status != optimize.GradientThreshold {
		err = fmt.Errorf("optimize: %v", result.Status)
	}
	if err != nil {
		return fit{}, fmt.Errorf("training ended after %d evaluations with the gradient's largest element at %.1e, not below %.0e: %w",
			o.evaluations, floats.Norm(o.gradient, math.Inf(1)), gradientTolerance, err)
	}
	return fit{
		model:       modelOf(result.X),
		objective:   result.F,
		gradient:    floats.Norm(result.Gradient, math.Inf(1)),
		iterations:  result.MajorIterations - 1, // optimize counts the start
		evaluations: o.evaluations,
	}, nil
}
