// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Digits trains a softmax classifier on scans of handwritten digits, with the
// loss and the gradient from package logsoftmax and the L-BFGS method from
// gonum/optimize, and reports how well it reads scans that it has not seen.
//
//	go run ./digits [-lambda λ] [-iterations n] [-plot file]
//
// The model is multinomial logistic regression: the probabilities of the ten
// digits for a scan x of 64 pixels are softmax(W·x + b). Training minimises the
// mean cross-entropy of the training scans plus λ/2·‖W‖².
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("digits: ")

	lambda := flag.Float64("lambda", 1e-3, "`weight` of the penalty on W")
	iterations := flag.Int("iterations", 10000, "give up after `n` iterations")
	picture := flag.String("plot", "", "write a picture to `file` (.png, .svg, .pdf, …)")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unexpected argument %q", flag.Arg(0))
	}
	if err := run(os.Stdout, os.Stderr, *lambda, *iterations, *picture); err != nil {
		log.Fatal(err)
	}
}

// run trains, reports to out, shows its progress on terminal, and writes the
// picture if it has a name.
func run(out io.Writer, terminal *os.File, lambda float64, iterations int, picture string) error {
	if !(lambda >= 0) || math.IsInf(lambda, 1) {
		return fmt.Errorf("-lambda %g is not a finite number of at least 0", lambda)
	}
	if iterations <= 0 {
		return fmt.Errorf("-iterations %d is not positive", iterations)
	}
	if picture != "" {
		// Not worth finding out after the training.
		if err := checkPicture(picture); err != nil {
			return err
		}
	}

	training, test, err := load()
	if err != nil {
		return err
	}
	follow, finish := newProgress(terminal)
	curve := &history{test: test, follow: follow}
	f, err := train(training, lambda, iterations, curve)
	finish()
	if err != nil {
		return err
	}

	onTraining, err := evaluate(f.model, training)
	if err != nil {
		return err
	}
	onTest, err := evaluate(f.model, test)
	if err != nil {
		return err
	}
	if err := report(out, f, lambda, training, test, onTraining, onTest); err != nil {
		return err
	}
	if picture == "" {
		return nil
	}
	return savePicture(picture, curve.steps, test, onTest)
}
