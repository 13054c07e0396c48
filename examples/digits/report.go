// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

// evaluation is how a model fares on a dataset.
type evaluation struct {
	loss      logsoftmax.Loss
	each      []float64 // loss of each row
	predicted []int     // most probable digit of each row
}

// evaluate applies the model to a dataset.
func evaluate(m model, data dataset) (evaluation, error) {
	var logits mat.Dense
	m.logits(&logits, data.pixels)
	loss, err := logsoftmax.CrossEntropy(&logits, data.labels, nil)
	if err != nil {
		return evaluation{}, err
	}
	each, err := logsoftmax.CrossEntropyEach(nil, &logits, data.labels, nil)
	if err != nil {
		return evaluation{}, err
	}
	predicted := make([]int, len(data.labels))
	for i := range predicted {
		predicted[i] = floats.MaxIdx(logits.RawRowView(i))
	}
	return evaluation{loss: loss, each: each, predicted: predicted}, nil
}

// confusion counts, for each digit, what it was taken for.
type confusion [classes][classes]int // [truth][prediction]

func newConfusion(truth, predicted []int) confusion {
	var c confusion
	for i, t := range truth {
		c[t][predicted[i]]++
	}
	return c
}

// mistake is a pair of digits that was confused.
type mistake struct {
	truth, predicted int
	count, of        int // so many times, of so many scans of the digit
}

// mistakes returns the pairs that were confused, the most frequent first.
func (c confusion) mistakes() []mistake {
	var pairs []mistake
	for truth, row := range c {
		of := 0
		for _, count := range row {
			of += count
		}
		for predicted, count := range row {
			if predicted != truth && count > 0 {
				pairs = append(pairs, mistake{truth, predicted, count, of})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b mistake) int { return cmp.Compare(b.count, a.count) })
	return pairs
}

// report writes what the training reached.
func report(w io.Writer, f fit, lambda float64, train, test dataset, onTrain, onTest evaluation) error {
	var b strings.Builder
	fmt.Fprintln(&b, attribution)
	fmt.Fprintf(&b, "%d scans to train on, %d to test on\n\n", len(train.labels), len(test.labels))

	fmt.Fprintf(&b, "L-BFGS: %d iterations, %d evaluations, largest gradient element %.1e\n", f.iterations, f.evaluations, f.gradient)
	fmt.Fprintf(&b, "objective: %.10f (mean cross-entropy + λ/2·‖W‖², λ = %g)\n\n", f.objective, lambda)

	fmt.Fprintf(&b, "%-8s %10s %11s %9s\n", "", "loss", "perplexity", "accuracy")
	for _, part := range []struct {
		name string
		loss logsoftmax.Loss
	}{{"training", onTrain.loss}, {"test", onTest.loss}} {
		l := part.loss
		fmt.Fprintf(&b, "%-8s %10.6f %11.6f %8.2f%%  (%d of %d)\n", part.name, l.Mean(), l.Perplexity(), 100*l.Accuracy(), l.Correct, l.Rows)
	}

	c := newConfusion(test.labels, onTest.predicted)
	fmt.Fprintf(&b, "\nTest scans by digit (down) and what it was taken for (across):\n\n   ")
	for digit := range classes {
		fmt.Fprintf(&b, "%4d", digit)
	}
	b.WriteByte('\n')
	for truth, row := range c {
		fmt.Fprintf(&b, "%3d", truth)
		for _, count := range row {
			if count == 0 {
				fmt.Fprintf(&b, "%4s", "·")
			} else {
				fmt.Fprintf(&b, "%4d", count)
			}
		}
		b.WriteByte('\n')
	}

	const shown = 5
	pairs := c.mistakes()
	if len(pairs) > 0 {
		fmt.Fprintf(&b, "\nConfused most often:\n")
	}
	for _, p := range pairs[:min(shown, len(pairs))] {
		fmt.Fprintf(&b, "  %d taken for %d, %d times of %d\n", p.truth, p.predicted, p.count, p.of)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
