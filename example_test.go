// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

// The cross-entropy of logits is the negative log-likelihood of their
// log-softmax. NLL only picks the labels' entries, negates and averages them,
// and does so whatever they are.
func Example() {
	x := mat.NewDense(2, 5, []float64{
		2.0017240047454834, -0.48061320185661316, -0.16262857615947723, -0.42289957404136658, -1.3143819570541382,
		-0.3741181492805481, 0.077360592782497406, -0.78514420986175537, -0.2291262298822403, -1.095805287361145,
	})
	target := []int{2, 1}

	// In two steps, and in one.
	var logp mat.Dense
	logsoftmax.LogSoftmax(&logp, x, 1)
	nll, err := logsoftmax.NLL(&logp, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	entropy, err := logsoftmax.CrossEntropy(x, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f %.4f\n", nll.Mean(), entropy.Mean())

	fmt.Println("dim 0, down the columns:")
	var columns mat.Dense
	logsoftmax.LogSoftmax(&columns, x, 0)
	fmt.Printf("%.4f\n", mat.Formatted(&columns))

	fmt.Println("dim 1, along the rows:")
	fmt.Printf("%.4f\n", mat.Formatted(&logp))

	// These are no log-probabilities, and the mean of their entries 4 and 1
	// is negated all the same.
	tenths := mat.NewDense(2, 5, []float64{
		0.1, 0.1, 0.1, 0.2, 0.5,
		0.1, 0.1, 0.1, 0.2, 0.5,
	})
	nll, err = logsoftmax.NLL(tenths, []int{4, 1}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", nll.Mean())

	// Output:
	// 1.7886 1.7886
	// dim 0, down the columns:
	// ⎡-0.0889  -1.0106  -0.4296  -0.7947  -0.8084⎤
	// ⎣-2.4647  -0.4526  -1.0521  -0.6009  -0.5898⎦
	// dim 1, along the rows:
	// ⎡-0.2800  -2.7624  -2.4444  -2.7047  -3.5961⎤
	// ⎣-1.5842  -1.1328  -1.9953  -1.4392  -2.3059⎦
	// -0.3000
}

// Neither logits that are far from 0 nor log-probabilities that are close to
// it lose their digits.
func ExampleLogSoftmax() {
	x := mat.NewDense(3, 3, []float64{
		0, 1, 2,
		1e15, 1e15 + 1, 1e15 + 2,
		700, 0, math.Inf(-1),
	})
	logsoftmax.LogSoftmax(x, x, 1) // in place
	fmt.Printf("%.4g\n", mat.Formatted(x))

	// Output:
	// ⎡    -2.408      -1.408     -0.4076⎤
	// ⎢    -2.408      -1.408     -0.4076⎥
	// ⎣-9.86e-305        -700        -Inf⎦
}

func ExampleSoftmax() {
	// Odds of 1 : 2 : 5, and of 1 : 1 : 2.
	logits := mat.NewDense(2, 3, []float64{
		0, math.Log(2), math.Log(5),
		0, 0, math.Log(2),
	})
	var p mat.Dense
	logsoftmax.Softmax(&p, logits, 1)
	fmt.Printf("%.3f\n", mat.Formatted(&p))

	// Output:
	// ⎡0.125  0.250  0.625⎤
	// ⎣0.250  0.250  0.500⎦
}

func ExampleLogSumExp() {
	x := mat.NewDense(2, 4, []float64{
		0, 0, 0, 0, // log 4
		1000, 1000, 0, 0, // 1000 + log 2
	})
	fmt.Printf("%.4f\n", logsoftmax.LogSumExp(nil, x, 1))

	// Output:
	// [1.3863 1000.6931]
}

// A loss of one's own on log-probabilities has its gradient with respect to
// the logits from the one with respect to the log-probabilities.
func ExampleLogSoftmaxGrad() {
	// Probabilities of ½, ¼ and ¼, and the loss -logp[0].
	logits := mat.NewDense(1, 3, []float64{math.Log(2), 0, 0})
	var logp mat.Dense
	logsoftmax.LogSoftmax(&logp, logits, 1)
	upstream := mat.NewDense(1, 3, []float64{-1, 0, 0})

	var grad mat.Dense
	logsoftmax.LogSoftmaxGrad(&grad, &logp, upstream, 1)
	fmt.Printf("%.2f\n", mat.Formatted(&grad))

	// Output:
	// [-0.50   0.25   0.25]
}

func ExampleSoftmaxGrad() {
	var logp mat.Dense
	logsoftmax.LogSoftmax(&logp, mat.NewDense(1, 3, []float64{1, 2, 3}), 1)

	// The gradient, with respect to the logits, of the expected reward.
	reward := mat.NewDense(1, 3, []float64{5, 0, 1})
	var grad mat.Dense
	logsoftmax.SoftmaxGrad(&grad, &logp, reward, 1)
	fmt.Printf("%.6f\n", mat.Formatted(&grad))

	// Output:
	// [ 0.349733  -0.272969  -0.076765]
}

func ExampleNLL() {
	logp := mat.NewDense(3, 2, []float64{
		math.Log(0.5), math.Log(0.5),
		math.Log(0.25), math.Log(0.75),
		math.NaN(), math.NaN(), // not read: its label is ignored
	})
	loss, err := logsoftmax.NLL(logp, []int{1, 0, -100}, nil)
	if err != nil {
		log.Fatal(err)
	}
	// log 2 + log 4, of two rows.
	fmt.Printf("sum %.4f, mean %.4f\n", loss.Sum, loss.Mean())
	fmt.Printf("%d rows, %d ignored\n", loss.Rows, loss.Ignored)

	// Output:
	// sum 2.0794, mean 1.0397
	// 3 rows, 1 ignored
}

func ExampleNLLEach() {
	logp := mat.NewDense(2, 2, []float64{
		math.Log(0.5), math.Log(0.5),
		math.Log(0.25), math.Log(0.75),
	})
	losses, err := logsoftmax.NLLEach(nil, logp, []int{1, 0}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", losses)

	// Output:
	// [0.6931 1.3863]
}

func ExampleNLLGrad() {
	logp := mat.NewDense(2, 2, []float64{
		math.Log(0.5), math.Log(0.5),
		math.Log(0.25), math.Log(0.75),
	})
	var grad mat.Dense
	loss, err := logsoftmax.NLLGrad(&grad, logp, []int{1, 0}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", loss.Mean())
	fmt.Printf("%.1f\n", mat.Formatted(&grad))

	// Output:
	// 1.0397
	// ⎡ 0.0  -0.5⎤
	// ⎣-0.5   0.0⎦
}

func ExampleCrossEntropy() {
	// Odds of 1 : 3 for the first row, equal ones for the second.
	logits := mat.NewDense(2, 2, []float64{
		0, math.Log(3),
		7, 7,
	})
	loss, err := logsoftmax.CrossEntropy(logits, []int{0, 1}, nil)
	if err != nil {
		log.Fatal(err)
	}
	// log 4 and log 2.
	fmt.Printf("%.4f\n", loss.Mean())

	// A tenth of the target for all classes evenly: in the first row 0.95 for
	// the loss of log 4, 0.05 for the other class's log 4/3.
	loss, err = logsoftmax.CrossEntropy(logits, []int{0, 1}, &logsoftmax.Options{LabelSmoothing: 0.1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", loss.Mean())

	// Output:
	// 1.0397
	// 1.0123
}

func ExampleCrossEntropyEach() {
	logits := mat.NewDense(3, 2, []float64{
		0, math.Log(3),
		0, math.Log(3),
		700, 0,
	})
	losses, err := logsoftmax.CrossEntropyEach(nil, logits, []int{0, 1, 0}, nil)
	if err != nil {
		log.Fatal(err)
	}
	// log 4, log 4/3 and log(1 + e^-700).
	fmt.Printf("%.4g\n", losses)

	// Output:
	// [1.386 0.2877 9.86e-305]
}

func ExampleCrossEntropyGrad() {
	logits := mat.NewDense(2, 2, []float64{
		0, math.Log(3), // probabilities of ¼ and ¾
		7, 7,
	})
	// The gradient replaces the logits.
	loss, err := logsoftmax.CrossEntropyGrad(logits, logits, []int{1, 0}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", loss.Mean())
	fmt.Printf("%.3f\n", mat.Formatted(logits))

	// Output:
	// 0.4904
	// ⎡ 0.125  -0.125⎤
	// ⎣-0.250   0.250⎦
}

// The cross-entropy against a distribution is least for the distribution
// itself, where it is its entropy: what a student learns from a teacher.
func ExampleSoftCrossEntropy() {
	teacher := mat.NewDense(1, 2, []float64{0.25, 0.75})
	for _, odds := range []float64{1, 3, 9} {
		student := mat.NewDense(1, 2, []float64{0, math.Log(odds)})
		loss, err := logsoftmax.SoftCrossEntropy(student, teacher, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("1 : %v  %.4f\n", odds, loss.Mean())
	}

	// Output:
	// 1 : 1  0.6931
	// 1 : 3  0.5623
	// 1 : 9  0.6547
}

func ExampleSoftCrossEntropyEach() {
	logits := mat.NewDense(2, 2, []float64{
		0, math.Log(3),
		0, math.Inf(-1), // the second class is impossible, and not asked for
	})
	target := mat.NewDense(2, 2, []float64{
		0.25, 0.75,
		1, 0,
	})
	losses, err := logsoftmax.SoftCrossEntropyEach(nil, logits, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", losses)

	// Output:
	// [0.5623 0.0000]
}

func ExampleSoftCrossEntropyGrad() {
	logits := mat.NewDense(1, 2, []float64{0, math.Log(3)})
	target := mat.NewDense(1, 2, []float64{0.5, 0.5})
	var grad mat.Dense
	loss, err := logsoftmax.SoftCrossEntropyGrad(&grad, logits, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	// ½·log 4 + ½·log 4/3, and probabilities less targets.
	fmt.Printf("%.4f\n", loss.Mean())
	fmt.Printf("%.2f\n", mat.Formatted(&grad))

	// Output:
	// 0.8370
	// [-0.25   0.25]
}

// What an evaluation prints, from what its batches add up to.
func ExampleLinearCrossEntropy() {
	// Two samples of three features, four classes.
	x := mat.NewDense(2, 3, []float64{
		1, 0, 2,
		-1, 3, 0.5,
	})
	w := mat.NewDense(4, 3, []float64{
		0.5, -1, 1,
		0, 1, 0,
		-1, 0.5, 0.25,
		1, 1, -1,
	})
	b := []float64{0.1, -0.2, 0, 0.3}
	target := []int{0, 2}

	loss, err := logsoftmax.LinearCrossEntropy(x, w, b, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.6f, %d of %d correct\n", loss.Mean(), loss.Correct, loss.Rows)

	// The same by way of the logits, which gonum's product may round otherwise.
	var logits mat.Dense
	logits.Mul(x, w.T())
	logits.Apply(func(i, c int, v float64) float64 { return v + b[c] }, &logits)
	loss, err = logsoftmax.CrossEntropy(&logits, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.6f\n", loss.Mean())

	// Output:
	// loss 0.550866, 1 of 2 correct
	// loss 0.550866
}

// The log-probabilities of words, from the hidden states of a language model and
// its embedding of the vocabulary: of how likely a sentence is, nothing of the
// size of the vocabulary is kept for a word.
func ExampleLinearCrossEntropyEach() {
	const words, width, vocabulary = 5, 16, 50257
	number := func(i int) float64 { return math.Sin(float64(i)) }
	hidden, embedding := mat.NewDense(words, width, nil), mat.NewDense(vocabulary, width, nil)
	hidden.Apply(func(i, d int, _ float64) float64 { return number(i*width + d) }, hidden)
	embedding.Apply(func(c, d int, _ float64) float64 { return number(7 * (c*width + d)) }, embedding)

	sentence := []int{464, 2068, 7586, 21831, 13}
	losses, err := logsoftmax.LinearCrossEntropyEach(nil, hidden, embedding, nil, sentence, nil)
	if err != nil {
		log.Fatal(err)
	}
	total := 0.0
	for i, l := range losses {
		fmt.Printf("word %5d: %.4f\n", sentence[i], -l)
		total -= l
	}
	fmt.Printf("sentence:   %.4f\n", total)

	// Output:
	// word   464: -15.0980
	// word  2068: -9.5615
	// word  7586: -13.3579
	// word 21831: -14.1950
	// word    13: -12.0582
	// sentence:   -64.2707
}

// A step of gradient descent in softmax regression.
func ExampleLinearCrossEntropyGrad() {
	x := mat.NewDense(4, 2, []float64{
		0, 1,
		1, 0,
		1, 1,
		-1, -1,
	})
	target := []int{0, 1, 1, 2}
	w, b := mat.NewDense(3, 2, nil), make([]float64, 3)

	grad := logsoftmax.LinearGrad{W: new(mat.Dense), B: make([]float64, 3)}
	for step := range 3 {
		loss, err := logsoftmax.LinearCrossEntropyGrad(grad, x, w, b, target, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("step %d: loss %.6f\n", step, loss.Mean())
		grad.W.Scale(-1, grad.W)
		w.Add(w, grad.W)
		floats.AddScaled(b, -1, grad.B)
	}
	fmt.Printf("w =\n%.4f\nb = %.4f\n", mat.Formatted(w), b)

	// Output:
	// step 0: loss 1.098612
	// step 1: loss 0.702306
	// step 2: loss 0.542835
	// w =
	// ⎡-0.2150   0.4700⎤
	// ⎢ 0.8797   0.2020⎥
	// ⎣-0.6646  -0.6720⎦
	// b = [-0.1199 0.2358 -0.1160]
}

func ExampleLoss() {
	loss := logsoftmax.Loss{Sum: 3 * math.Ln2, Weight: 3, Rows: 5, Ignored: 2, Correct: 1}
	fmt.Printf("loss %.4f, perplexity %.2f, accuracy %.1f %%\n",
		loss.Mean(), loss.Perplexity(), 100*loss.Accuracy())

	// Output:
	// loss 0.6931, perplexity 2.00, accuracy 33.3 %
}

// Losses of batches add up to the loss of the whole, whatever their sizes.
func ExampleLoss_Add() {
	p := mat.NewDense(3, 4, []float64{
		0.5, 0.25, 0.125, 0.125,
		0.5, 0.25, 0.125, 0.125,
		0.5, 0.25, 0.125, 0.125,
	})
	var logits mat.Dense
	logits.Apply(func(_, _ int, v float64) float64 { return math.Log(v) }, p)
	target := []int{0, 1, 3} // of probability ½, ¼ and ⅛

	var total logsoftmax.Loss
	for _, batch := range []struct{ begin, end int }{{0, 2}, {2, 3}} {
		loss, err := logsoftmax.CrossEntropy(logits.Slice(batch.begin, batch.end, 0, 4), target[batch.begin:batch.end], nil)
		if err != nil {
			log.Fatal(err)
		}
		total.Add(loss)
	}
	fmt.Printf("%.4f over %d rows\n", total.Mean(), total.Rows) // 2·log 2

	// Output:
	// 1.3863 over 3 rows
}

// A diverged model can be reported too.
func ExampleLoss_String() {
	fmt.Println(logsoftmax.Loss{Sum: math.NaN(), Weight: 4, Rows: 5, Ignored: 1, Correct: 2})

	// Output:
	// {Sum:NaN Weight:4 Rows:5 Ignored:1 Correct:2}
}

// Four processes evaluate a quarter of the rows each, and write their Losses
// as JSON. These add up to the Loss of all rows, to the last digit: the same.
func ExampleLoss_MarshalJSON() {
	const rows, classes = 1000, 7
	logits := mat.NewDense(rows, classes, nil)
	target := make([]int, rows)
	for i := range rows {
		for c := range classes {
			logits.Set(i, c, 30*math.Sin(float64(i*classes+c)))
		}
		target[i] = i % classes
	}

	var reports [4][]byte
	for p := range reports {
		begin, end := p*rows/4, (p+1)*rows/4
		loss, err := logsoftmax.CrossEntropy(logits.Slice(begin, end, 0, classes), target[begin:end], nil)
		if err != nil {
			log.Fatal(err)
		}
		if reports[p], err = json.Marshal(loss); err != nil {
			log.Fatal(err)
		}
	}

	var total logsoftmax.Loss
	for _, report := range reports {
		var loss logsoftmax.Loss
		if err := json.Unmarshal(report, &loss); err != nil {
			log.Fatal(err)
		}
		total.Add(loss)
	}
	whole, err := logsoftmax.CrossEntropy(logits, target, nil)
	fmt.Println(total == whole, err)

	// Output:
	// true <nil>
}

// What others write, with the exported fields alone, is read as well.
func ExampleLoss_UnmarshalJSON() {
	var loss logsoftmax.Loss
	err := json.Unmarshal([]byte(`{"Sum": 2.5, "Weight": 4, "Rows": 4, "Ignored": 0, "Correct": 3}`), &loss)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(loss.Mean(), loss.Accuracy())

	// Output:
	// 0.625 0.75
}

func ExampleLoss_GobEncode() {
	loss, err := logsoftmax.CrossEntropy(mat.NewDense(3, 10, nil), []int{3, 1, 4}, nil)
	if err != nil {
		log.Fatal(err)
	}
	var stream bytes.Buffer
	if err := gob.NewEncoder(&stream).Encode(loss); err != nil {
		log.Fatal(err)
	}
	var received logsoftmax.Loss
	if err := gob.NewDecoder(&stream).Decode(&received); err != nil {
		log.Fatal(err)
	}
	fmt.Println(received == loss)

	// Output:
	// true
}

func ExampleLoss_GobDecode() {
	var loss logsoftmax.Loss
	err := loss.GobDecode([]byte(`{"Sum": 3, "Weight": 2}`))
	fmt.Println(loss.Mean(), err)

	// Output:
	// 1.5 <nil>
}

func ExampleLoss_Mean() {
	loss := logsoftmax.Loss{Sum: 6, Weight: 4}
	fmt.Println(loss.Mean())
	// Where nothing counts there is no mean.
	fmt.Println(logsoftmax.Loss{Rows: 2, Ignored: 2}.Mean())

	// Output:
	// 1.5
	// NaN
}

// Equal logits are an even choice among the classes.
func ExampleLoss_Perplexity() {
	loss, err := logsoftmax.CrossEntropy(mat.NewDense(2, 10, nil), []int{3, 7}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f\n", loss.Perplexity())

	// Output:
	// 10.000
}

// The lowest-indexed of the largest logits is the one that counts.
func ExampleLoss_Accuracy() {
	logits := mat.NewDense(4, 3, []float64{
		1, 5, 2,
		1, 5, 5, // 1, not 2
		3, 2, 1,
		3, 2, 1, // ignored
	})
	loss, err := logsoftmax.CrossEntropy(logits, []int{1, 2, 0, -100}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d: %.4f\n", loss.Correct, loss.Rows-loss.Ignored, loss.Accuracy())

	// Output:
	// 2 of 3: 0.6667
}

func ExampleOptions() {
	logits := mat.NewDense(3, 2, []float64{
		0, math.Log(3),
		0, math.Log(3),
		0, math.Log(3),
	})
	// log 4/3 for the first row, log 4 for the second; 9 pads a sequence.
	target := []int{1, 0, 9}

	loss, err := logsoftmax.CrossEntropy(logits, target, &logsoftmax.Options{
		Weight:       []float64{2, 1},    // class 0 counts twice
		SampleWeight: []float64{3, 1, 1}, // and the first row three times
		Ignore:       []int{9},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("(3·1·%.4f + 1·2·%.4f) / %v = %.4f\n", math.Log(4.0/3), math.Log(4), loss.Weight, loss.Mean())

	// Output:
	// (3·1·0.2877 + 1·2·1.3863) / 5 = 0.7271
}

// What PyTorch does with reduction "none" and an upstream gradient is the sum,
// each row weighted by its element.
func ExampleReduction() {
	logits := mat.NewDense(2, 2, []float64{
		0, math.Log(3),
		0, 0,
	})
	var grad mat.Dense
	_, err := logsoftmax.CrossEntropyGrad(&grad, logits, []int{1, 0}, &logsoftmax.Options{
		Reduction:    logsoftmax.Sum,
		SampleWeight: []float64{4, -1},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", mat.Formatted(&grad))

	// Output:
	// ⎡ 1.0  -1.0⎤
	// ⎣ 0.5  -0.5⎦
}

func ExampleClassCounts() {
	counts, err := logsoftmax.ClassCounts([]int{0, 2, 0, -100, 1, 0}, 3, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(counts)

	// Output:
	// [3 1 1]
}

func ExampleBalancedWeights() {
	counts := []float64{6, 3, 1}
	weights, err := logsoftmax.BalancedWeights(counts)
	if err != nil {
		log.Fatal(err)
	}
	for c, w := range weights {
		fmt.Printf("%v rows of weight %.4f: %.4f\n", counts[c], w, counts[c]*w)
	}

	// Output:
	// 6 rows of weight 0.5556: 3.3333
	// 3 rows of weight 1.1111: 3.3333
	// 1 rows of weight 3.3333: 3.3333
}

func ExampleEffectiveNumberWeights() {
	// Effective numbers of (1-½)/(1-½) = 1 and (1-¼)/(1-½) = 1½.
	weights, err := logsoftmax.EffectiveNumberWeights([]float64{1, 2}, 0.5)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", weights)

	// Output:
	// [1.2000 0.8000]
}

// A class that does not occur, as the fourth of the seven kinds of glass in a
// well-known set, does not stand in the way.
func ExampleOccurringWeights() {
	counts := []float64{6, 3, 0, 1}
	_, err := logsoftmax.BalancedWeights(counts)
	fmt.Println(err)
	weights, err := logsoftmax.OccurringWeights(counts, logsoftmax.BalancedWeights)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", weights)

	// Output:
	// logsoftmax: counts[2] = 0: a count must be finite and positive; for classes that do not occur see OccurringWeights
	// [0.5556 1.1111 0.0000 3.3333]
}

// With smoothing, class weights multiply the shares of all classes. Here a row
// of the frequent class is best predicted, with weights by class, as one of the
// rare class; with the same weights by row, as what it is.
func ExampleSampleWeights() {
	weights, err := logsoftmax.BalancedWeights([]float64{99, 1})
	if err != nil {
		log.Fatal(err)
	}
	target := []int{0}
	samples, err := logsoftmax.SampleWeights(nil, target, weights, nil)
	if err != nil {
		log.Fatal(err)
	}

	for _, logits := range []*mat.Dense{
		mat.NewDense(1, 2, []float64{2, 0}), // the frequent class
		mat.NewDense(1, 2, []float64{0, 2}), // the rare one
	} {
		byClass, err := logsoftmax.CrossEntropy(logits, target, &logsoftmax.Options{
			Weight: weights, LabelSmoothing: 0.1,
		})
		if err != nil {
			log.Fatal(err)
		}
		byRow, err := logsoftmax.CrossEntropy(logits, target, &logsoftmax.Options{
			SampleWeight: samples, LabelSmoothing: 0.1,
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v: by class %.4f, by row %.4f\n", logits.RawRowView(0), byClass.Mean(), byRow.Mean())
	}

	// Output:
	// [2 0]: by class 10.6489, by row 0.2269
	// [0 2]: by class 2.6489, by row 2.0269
}

func ExampleLabels() {
	table := mat.NewDense(3, 2, []float64{
		0.5, 2,
		0.1, 0,
		0.7, 1,
	})
	labels, err := logsoftmax.Labels(nil, table.ColView(1))
	fmt.Println(labels, err)
	_, err = logsoftmax.Labels(nil, table.ColView(0))
	fmt.Println(err)

	// Output:
	// [2 0 1] <nil>
	// logsoftmax: label[0] = 0.5: a label must be a whole number
}

func ExampleTargetError() {
	logits := mat.NewDense(2, 3, nil)
	_, err := logsoftmax.CrossEntropy(logits, []int{1, 3}, nil)
	var bad *logsoftmax.TargetError
	if errors.As(err, &bad) {
		fmt.Printf("row %d has label %d of %d classes\n", bad.Row, bad.Target, bad.Classes)
	}

	// Output:
	// row 1 has label 3 of 3 classes
}

func ExampleTargetError_Error() {
	_, err := logsoftmax.CrossEntropy(mat.NewDense(2, 3, nil), []int{1, 3}, nil)
	fmt.Println(err)

	// Output:
	// logsoftmax: target[1] = 3 is not in [0, 3) and not ignored
}

func ExampleValueError() {
	logits := mat.NewDense(1, 3, nil)
	target := mat.NewDense(1, 3, []float64{0.5, 0.75, -0.25})
	_, err := logsoftmax.SoftCrossEntropy(logits, target, nil)
	var bad *logsoftmax.ValueError
	if errors.As(err, &bad) {
		fmt.Printf("%s at row %d, column %d is %v\n", bad.Name, bad.Row, bad.Col, bad.Value)
	}

	// Output:
	// target at row 0, column 2 is -0.25
}

func ExampleValueError_Error() {
	_, err := logsoftmax.CrossEntropy(mat.NewDense(1, 3, nil), []int{0}, &logsoftmax.Options{
		LabelSmoothing: 1.5,
	})
	fmt.Println(err)

	// Output:
	// logsoftmax: Options.LabelSmoothing = 1.5: smoothing must be in [0, 1]
}

// A shape that does not fit panics as in package mat, and mat.Maybe makes an
// error of it.
func Example_shapes() {
	logits := mat.NewDense(2, 3, nil)
	err := mat.Maybe(func() {
		logsoftmax.LogSoftmax(mat.NewDense(3, 2, nil), logits, 1)
	})
	var stack mat.ErrorStack
	fmt.Println(errors.As(err, &stack) && stack.Err == mat.ErrShape)
	fmt.Println(err)

	// Output:
	// true
	// mat: dimension mismatch
}

// Batches of unequal sizes make the gradient of one large batch if sums are
// accumulated, and divided by the weight of all once at the end.
func Example_gradientAccumulation() {
	// One feature, two classes and weights of zero, so that every probability
	// is ½. The gradient of the mean is (-1-2+3+4)/2 over 4 rows; the mean of
	// the batches' means would be twice that.
	w := mat.NewDense(1, 2, nil)
	x := mat.NewDense(4, 1, []float64{1, 2, 3, 4})
	target := []int{0, 0, 1, 1}

	var total logsoftmax.Loss
	gradient := mat.NewDense(1, 2, nil)
	for _, batch := range []struct{ begin, end int }{{0, 3}, {3, 4}} {
		x := x.Slice(batch.begin, batch.end, 0, 1)
		var logits, part mat.Dense
		logits.Mul(x, w)
		loss, err := logsoftmax.CrossEntropyGrad(&logits, &logits, target[batch.begin:batch.end], &logsoftmax.Options{
			Reduction: logsoftmax.Sum,
		})
		if err != nil {
			log.Fatal(err)
		}
		total.Add(loss)
		part.Mul(x.T(), &logits)
		gradient.Add(gradient, &part)
	}
	gradient.Scale(1/total.Weight, gradient)
	fmt.Printf("%.4f\n", total.Mean())
	fmt.Printf("%.2f\n", mat.Formatted(gradient))

	// Output:
	// 0.6931
	// [ 0.50  -0.50]
}

// A model is evaluated batch by batch, in one matrix for the logits of each.
func Example_evaluation() {
	// The model scores class c with the logarithm of 8, 4, 2 or 1, which are
	// probabilities of 8/15, 4/15, 2/15 and 1/15, whatever it is shown.
	model := func(logits *mat.Dense) {
		logits.Apply(func(_, c int, _ float64) float64 { return float64(3-c) * math.Ln2 }, logits)
	}
	batches := [][]int{
		{0, 1, 0, 2},
		{3, -100, 0},
		{0},
	}

	var total logsoftmax.Loss
	for _, target := range batches {
		logits := mat.NewDense(len(target), 4, nil)
		model(logits)
		loss, err := logsoftmax.CrossEntropy(logits, target, nil)
		if err != nil {
			log.Fatal(err)
		}
		total.Add(loss)
	}
	// log 15 less (4·log 8 + log 4 + log 2)/7 = 15/7·log 2.
	fmt.Printf("%d rows, %d ignored\n", total.Rows, total.Ignored)
	fmt.Printf("loss       %.4f\n", total.Mean())
	fmt.Printf("perplexity %.3f\n", total.Perplexity())
	fmt.Printf("accuracy   %d/%d = %.4f\n", total.Correct, total.Rows-total.Ignored, total.Accuracy())

	// Output:
	// 8 rows, 1 ignored
	// loss       1.2227
	// perplexity 3.396
	// accuracy   4/7 = 0.5714
}

// Of labels that are mostly of one class, a model that has learnt nothing but
// how frequent they are seems good. With balanced weights it does not.
func Example_classWeights() {
	target := []int{0, 0, 0, 0, 0, 0, 1, 1, 1, 2}
	counts, err := logsoftmax.ClassCounts(target, 3, nil)
	if err != nil {
		log.Fatal(err)
	}
	weights, err := logsoftmax.BalancedWeights(counts)
	if err != nil {
		log.Fatal(err)
	}

	logits := mat.NewDense(len(target), 3, nil)
	logits.Apply(func(_, c int, _ float64) float64 { return math.Log(counts[c]) }, logits)
	plain, err := logsoftmax.CrossEntropy(logits, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	balanced, err := logsoftmax.CrossEntropy(logits, target, &logsoftmax.Options{Weight: weights})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("plain    %.4f\n", plain.Mean())    // 0.6, 0.3 and 0.1 times the classes' losses
	fmt.Printf("balanced %.4f\n", balanced.Mean()) // a third of each

	// Output:
	// plain    0.8979
	// balanced 1.3391
}

// The focal loss (1-p)^γ·(-log p), p the probability of the label, makes rows
// that are right already count for less. It is the cross-entropy with sample
// weights that depend on the losses: for the loss itself (1-p)^γ, and for its
// gradient what the chain rule makes of that.
func Example_focalLoss() {
	const gamma = 2
	logits := mat.NewDense(3, 3, []float64{
		4, 0, 0,
		1, 0.5, 0,
		0, 0, 2,
	})
	target := []int{0, 0, 1}

	losses, err := logsoftmax.CrossEntropyEach(nil, logits, target, nil)
	if err != nil {
		log.Fatal(err)
	}
	weight, slope := make([]float64, len(losses)), make([]float64, len(losses))
	for i, l := range losses {
		p, complement := math.Exp(-l), -math.Expm1(-l)
		weight[i] = math.Pow(complement, gamma)
		slope[i] = weight[i] + gamma*l*p*math.Pow(complement, gamma-1)
		fmt.Printf("row %d: cross-entropy %.4f, focal loss %.4f\n", i, l, weight[i]*l)
	}
	loss, err := logsoftmax.CrossEntropy(logits, target, &logsoftmax.Options{SampleWeight: weight})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("focal loss %.4f, mean %.4f\n", loss.Sum, loss.Sum/float64(loss.Rows))

	var grad mat.Dense
	_, err = logsoftmax.CrossEntropyGrad(&grad, logits, target, &logsoftmax.Options{
		SampleWeight: slope,
		Reduction:    logsoftmax.Sum,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", mat.Formatted(&grad))

	// Output:
	// row 0: cross-entropy 0.0360, focal loss 0.0000
	// row 1: cross-entropy 0.6803, focal loss 0.1657
	// row 2: cross-entropy 2.2395, focal loss 1.7879
	// focal loss 1.9536, mean 0.6512
	// ⎡-0.0001   0.0001   0.0001⎤
	// ⎢-0.2880   0.1793   0.1087⎥
	// ⎣ 0.1304  -1.0941   0.9637⎦
}

// A classifier that is surer than it is right is mended by a temperature T: its
// logits are divided by what makes the loss of validation samples least. The
// loss is convex in 1/T, and its derivative is Σ G·x for the gradient G at the
// scaled logits: where that is 0 is found by halving.
func Example_temperature() {
	logits := mat.NewDense(6, 3, []float64{
		8, 1, 0,
		0, 9, 2,
		7, 6, 1,
		1, 0, 8,
		2, 9, 0,
		6, 0, 3,
	})
	target := []int{0, 1, 1, 2, 0, 0}

	var scaled, grad mat.Dense
	at := func(inverse float64) (loss, slope float64) {
		scaled.Scale(inverse, logits)
		l, err := logsoftmax.CrossEntropyGrad(&grad, &scaled, target, nil)
		if err != nil {
			log.Fatal(err)
		}
		grad.MulElem(&grad, logits)
		return l.Mean(), mat.Sum(&grad)
	}
	low, high := 0.0, 10.0
	for range 60 {
		middle := (low + high) / 2
		if _, slope := at(middle); slope < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	before, _ := at(1)
	after, _ := at(low)
	fmt.Printf("temperature %.4f: loss %.4f, and %.4f without\n", 1/low, after, before)

	// Output:
	// temperature 3.5113: loss 0.7044, and 1.3951 without
}

// Newton's method for softmax regression without a Hessian: conjugate gradients
// solve for its step, and take products of the Hessian with a direction v of the
// weights. For logits x·wᵀ these are Sᵀ·x with SoftmaxGrad's S for x·vᵀ.
func Example_newtonCG() {
	const samples, features, classes, lambda = 40, 3, 3, 1e-2
	x, target := mat.NewDense(samples, features, nil), make([]int, samples)
	for i := range samples {
		target[i] = i % classes
		for d := range features {
			x.Set(i, d, float64((i*i+7*d*i)%11)/11)
		}
		x.Set(i, target[i], x.At(i, target[i])+0.5)
	}
	inner := func(a, b *mat.Dense) float64 { return floats.Dot(a.RawMatrix().Data, b.RawMatrix().Data) }
	addScaled := func(to *mat.Dense, by float64, m *mat.Dense) {
		floats.AddScaled(to.RawMatrix().Data, by, m.RawMatrix().Data)
	}

	w, grad := mat.NewDense(classes, features, nil), mat.NewDense(classes, features, nil)
	var logits, logp, s, product mat.Dense
	for step := range 6 {
		loss, err := logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{W: grad}, x, w, nil, target, nil)
		if err != nil {
			log.Fatal(err)
		}
		addScaled(grad, lambda, w)
		size := math.Sqrt(inner(grad, grad))
		objective := loss.Mean() + lambda/2*inner(w, w)
		if size < 1e-12 {
			fmt.Printf("step %d: objective %.8f, no gradient\n", step, objective)
			break
		}
		fmt.Printf("step %d: objective %.8f, gradient %.0e\n", step, objective, size)

		// H·move = -grad, where H·v is Sᵀ·x over the number of samples, and λ·v.
		logits.Mul(x, w.T())
		logsoftmax.LogSoftmax(&logp, &logits, 1)
		move := mat.NewDense(classes, features, nil)
		residual := mat.DenseCopyOf(grad)
		residual.Scale(-1, residual)
		direction := mat.DenseCopyOf(residual)
		for squared := inner(residual, residual); math.Sqrt(squared) > 1e-3*size*min(1, size); {
			s.Mul(x, direction.T())
			logsoftmax.SoftmaxGrad(&s, &logp, &s, 1)
			product.Mul(s.T(), x)
			product.Scale(1.0/samples, &product)
			addScaled(&product, lambda, direction)

			along := squared / inner(direction, &product)
			addScaled(move, along, direction)
			addScaled(residual, -along, &product)
			before := squared
			squared = inner(residual, residual)
			direction.Scale(squared/before, direction)
			direction.Add(direction, residual)
		}
		w.Add(w, move)
	}

	// Output:
	// step 0: objective 1.09861229, gradient 2e-01
	// step 1: objective 0.61128367, gradient 4e-02
	// step 2: objective 0.59350021, gradient 4e-03
	// step 3: objective 0.59327009, gradient 7e-05
	// step 4: objective 0.59327004, gradient 2e-08
	// step 5: objective 0.59327004, no gradient
}
