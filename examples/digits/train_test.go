// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/optimize"

	"example.org/logsoftmax"
)

const lambda = 1e-3

// training is the one training that the tests look at.
var training = sync.OnceValues(func() (fit, error) {
	data, _, err := load()
	if err != nil {
		return fit{}, err
	}
	return train(data, lambda, 1000, nil)
})

// textbook computes the objective and its gradient as a textbook defines them,
// one scan at a time, with no code of this module or of package logsoftmax.
func textbook(w [][]float64, b []float64, data dataset, lambda float64) (value float64, gradW [][]float64, gradB []float64) {
	gradW, gradB = make([][]float64, len(w)), make([]float64, len(b))
	for k := range w {
		gradW[k] = make([]float64, len(w[k]))
	}
	n := float64(len(data.labels))
	for i, label := range data.labels {
		e, sum := make([]float64, len(w)), 0.0
		for k := range w {
			z := b[k]
			for j := range w[k] {
				z += w[k][j] * data.pixels.At(i, j)
			}
			e[k] = math.Exp(z)
			sum += e[k]
		}
		value -= math.Log(e[label]/sum) / n
		for k := range w {
			d := e[k] / sum
			if k == label {
				d--
			}
			gradB[k] += d / n
			for j := range w[k] {
				gradW[k][j] += d * data.pixels.At(i, j) / n
			}
		}
	}
	for k := range w {
		for j, v := range w[k] {
			value += lambda / 2 * v * v
			gradW[k][j] += lambda * v
		}
	}
	return value, gradW, gradB
}

// shaped copies theta into the weights and the biases.
func shaped(theta []float64) (w [][]float64, b []float64) {
	for k := range 10 {
		w = append(w, slices.Clone(theta[64*k:64*(k+1)]))
	}
	return w, slices.Clone(theta[640:])
}

// TestTrainFindsOptimum relies on the objective being convex: where its
// gradient is nothing, it is least.
func TestTrainFindsOptimum(t *testing.T) {
	f, err := training()
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var w [][]float64
	for k := range classes {
		w = append(w, f.model.w.RawRowView(k))
	}
	value, gradW, gradB := textbook(w, f.model.b, data, lambda)
	if diff := math.Abs(value - f.objective); !(diff < 1e-9) {
		t.Errorf("objective %.12f, the textbook's %.12f", f.objective, value)
	}
	largest := 0.0
	for _, row := range append(gradW, gradB) {
		for _, g := range row {
			if math.IsNaN(g) {
				t.Fatal("NaN in the gradient")
			}
			largest = max(largest, math.Abs(g))
		}
	}
	if largest >= 1e-7 {
		t.Errorf("largest gradient element %.1e, want below 1e-7", largest)
	}
	if f.gradient >= gradientTolerance {
		t.Errorf("reported gradient %.1e, want below %.0e", f.gradient, gradientTolerance)
	}
}

func TestObjectiveMatchesTextbook(t *testing.T) {
	data, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	data = data.rows(100, 200)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, lambda := range []float64{0, 1e-3, 2} {
		theta := make([]float64, parameters)
		for i := range theta {
			theta[i] = rnd.NormFloat64()
		}
		o := objective{train: data, lambda: lambda}
		gradient := make([]float64, parameters)
		value := o.Func(theta)
		o.Grad(gradient, theta)

		w, b := shaped(theta)
		wantValue, wantW, wantB := textbook(w, b, data, lambda)
		if math.Abs(value-wantValue) > 1e-12*math.Abs(wantValue) {
			t.Errorf("λ = %g: value %v, want %v", lambda, value, wantValue)
		}
		for i, want := range append(slices.Concat(wantW...), wantB...) {
			if !(math.Abs(gradient[i]-want) < 1e-12) {
				t.Errorf("λ = %g: gradient element %d: %v, want %v", lambda, i, gradient[i], want)
			}
		}
	}
}

// TestObjectiveAtZero has a value known without any computation: all digits are
// equally probable.
func TestObjectiveAtZero(t *testing.T) {
	data, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	o := objective{train: data, lambda: lambda}
	if got := o.Func(make([]float64, parameters)); math.Abs(got-math.Ln10) > 1e-15 {
		t.Errorf("got %v, want ln 10", got)
	}
}

func TestObjectiveEvaluatesOncePerPoint(t *testing.T) {
	data, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	o := objective{train: data.rows(0, 10), lambda: lambda}
	theta, gradient := make([]float64, parameters), make([]float64, parameters)
	check := func(what string, want int) {
		t.Helper()
		if o.evaluations != want {
			t.Errorf("%s: %d evaluations, want %d", what, o.evaluations, want)
		}
	}
	atZero := o.Func(theta)
	o.Grad(gradient, theta)
	check("value, then gradient", 1)
	if o.Func(slices.Clone(theta)) != atZero {
		t.Error("a different value at the same point")
	}
	check("the same point in another slice", 1)

	theta[parameters-1] = 1
	o.Grad(gradient, theta)
	check("another point in the same slice", 2)
	if o.Func(theta) == atZero {
		t.Error("the same value at another point")
	}
	check("gradient, then value", 2)

	clear(gradient) // the caller's, to do with as it likes
	again := make([]float64, parameters)
	o.Grad(again, theta)
	if slices.Equal(gradient, again) {
		t.Error("the gradient was lost")
	}
}

// counter is an optimize.Recorder that keeps the last statistics.
type counter struct{ optimize.Stats }

func (c *counter) Init() error { return nil }
func (c *counter) Record(_ *optimize.Location, _ optimize.Operation, stats *optimize.Stats) error {
	c.Stats = *stats
	return nil
}

func TestTrainEvaluatesOncePerPoint(t *testing.T) {
	data, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var c counter
	f, err := train(data.rows(0, 200), 0.1, 1000, &c)
	if err != nil {
		t.Fatal(err)
	}
	if c.FuncEvaluations == 0 || c.GradEvaluations == 0 {
		t.Fatalf("nothing was counted: %+v", c.Stats)
	}
	if most := max(c.FuncEvaluations, c.GradEvaluations); f.evaluations > most {
		t.Errorf("%d evaluations for %d values and %d gradients", f.evaluations, c.FuncEvaluations, c.GradEvaluations)
	}
}

func TestTrainReturnsErrors(t *testing.T) {
	data, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	data = data.rows(0, 100)

	bad := data
	bad.labels = slices.Clone(data.labels)
	bad.labels[7] = 10
	_, err = train(bad, lambda, 100, nil)
	var target *logsoftmax.TargetError
	if !errors.As(err, &target) {
		t.Errorf("a label of 10: %v, want a TargetError", err)
	} else if target.Row != 7 || target.Target != 10 {
		t.Errorf("a label of 10 in row 7: %+v", target)
	}

	bad = test.rows(0, 10)
	bad.labels = slices.Clone(bad.labels)
	bad.labels[3] = -1
	if _, err = train(data, lambda, 100, &history{test: bad}); !errors.As(err, &target) {
		t.Errorf("a test label of -1: %v, want a TargetError", err)
	}

	_, err = train(data, lambda, 3, nil)
	if err == nil || !strings.Contains(err.Error(), "IterationLimit") {
		t.Errorf("3 iterations: %v, want an error that says that they were too few", err)
	}
}

func TestHistory(t *testing.T) {
	data, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	var followed []step
	h := &history{test: test, follow: func(s step) { followed = append(followed, s) }}
	f, err := train(data.rows(0, 200), 0.1, 1000, h)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.steps) != f.iterations+1 {
		t.Fatalf("%d steps of %d iterations and the start", len(h.steps), f.iterations)
	}
	for i, s := range h.steps {
		if s.iteration != i {
			t.Errorf("step %d is called %d", i, s.iteration)
		}
		if i > 0 && s.objective > h.steps[i-1].objective {
			t.Errorf("step %d goes up from %v to %v", i, h.steps[i-1].objective, s.objective)
		}
	}
	if got := h.steps[0].testLoss; math.Abs(got-math.Ln10) > 1e-15 {
		t.Errorf("test loss at the start %v, want ln 10", got)
	}
	onTest, err := evaluate(f.model, test)
	if err != nil {
		t.Fatal(err)
	}
	last := h.steps[f.iterations]
	if last.objective != f.objective || last.gradient != f.gradient || last.testLoss != onTest.loss.Mean() {
		t.Errorf("the last step is %+v; the training ended with %v, %v, %v", last, f.objective, f.gradient, onTest.loss.Mean())
	}
	if !slices.Equal(followed, h.steps) {
		t.Error("not every step was told")
	}
}
