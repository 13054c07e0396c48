// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"fmt"
	"math"

	"example.org/logsoftmax/internal/kernel"
)

// A TargetError reports a label that is not a class and is not ignored. It is
// always the one in the lowest such row.
type TargetError struct {
	Row     int // index in the target that was given, that of one batch
	Target  int // the label
	Classes int // a label must be in [0, Classes)
}

// Error describes the label and its place.
func (e *TargetError) Error() string {
	return fmt.Sprintf("logsoftmax: target[%d] = %d is not in [0, %d) and not ignored", e.Row, e.Target, e.Classes)
}

// A ValueError reports a number that its place does not allow.
type ValueError struct {
	// Name says what the number is: "Weight", "SampleWeight" or
	// "LabelSmoothing" for the fields of Options, "target" for an entry of
	// a matrix of targets, "counts" or "beta" for the arguments of
	// BalancedWeights, EffectiveNumberWeights and OccurringWeights, "label" for
	// an element of the vector given to Labels.
	Name string

	// Row and Col are the number's place: the row of a sample or of a label,
	// within the batch that was given, and the column of a class. Each is -1
	// where it does not apply.
	Row, Col int

	// Value is the number.
	Value float64
}

// Error describes the number, its place, and what would have been allowed.
func (e *ValueError) Error() string {
	name, allowed := e.Name, ""
	switch e.Name {
	case "Weight":
		name, allowed = "Options.Weight", "a class weight must be finite and not negative"
		if e.Value > 0 && kernel.IsFinite(e.Value) {
			allowed = "its product with a sample weight or a target is beyond the range of normal numbers"
		}
	case "SampleWeight":
		name, allowed = "Options.SampleWeight", "a sample weight must be finite"
		if kernel.IsFinite(e.Value) {
			allowed = "a negative sample weight needs Reduction Sum"
		}
		if e.Value == 0 {
			allowed = "its product with the class weight is too small for a double"
		}
	case "LabelSmoothing":
		name, allowed = "Options.LabelSmoothing", "smoothing must be in [0, 1]"
		if e.Value > 0 && e.Value < 1 {
			allowed = "smoothing so small needs class weights that are smaller or less far apart"
		}
	case "target":
		allowed = "a target probability must be finite and not negative"
	case "counts":
		allowed = "a count must be finite and positive"
		switch {
		case e.Value == 0:
			allowed += "; for classes that do not occur see OccurringWeights"
		case e.Value > 0 && kernel.IsFinite(e.Value):
			allowed = "a count so small against the others has an infinite weight"
		}
	case "beta":
		allowed = "beta must be in [0, 1)"
	case "label":
		allowed = "a label must be a whole number"
		if kernel.IsFinite(e.Value) && e.Value == math.Trunc(e.Value) {
			allowed = "a label must fit in an int"
		}
	}
	s := "logsoftmax: " + name
	switch {
	case e.Row >= 0 && e.Col >= 0:
		s += fmt.Sprintf("[%d, %d]", e.Row, e.Col)
	case e.Row >= 0:
		s += fmt.Sprintf("[%d]", e.Row)
	case e.Col >= 0:
		s += fmt.Sprintf("[%d]", e.Col)
	}
	s += fmt.Sprintf(" = %v", e.Value)
	if allowed != "" {
		s += ": " + allowed
	}
	return s
}
