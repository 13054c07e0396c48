// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package logsoftmax has log-softmax, the negative log-likelihood and the
// cross-entropy of gonum matrices, with their gradients: what PyTorch's
// LogSoftmax, NLLLoss and CrossEntropyLoss do, in every option.
//
// # The three functions
//
// A classifier gives each sample a row of C real numbers, the logits. Three
// functions make a loss of N such rows and of N labels:
//
//	LogSoftmax     logp[i,c] = logits[i,c] - log Σ_k e^logits[i,k]
//	NLL            l[i] = -logp[i,target[i]],    Mean = Σ l[i] / N
//	CrossEntropy   NLL of LogSoftmax
//
// [CrossEntropy] is [NLL] of [LogSoftmax], bit for bit and for all options, and
// does not store the log-probabilities. Use it unless you want them.
// [SoftCrossEntropy] is the same against a distribution for each row. Without
// Weight and Ignore, rows that have a 1 for the label and 0 for all others make
// it CrossEntropy; with Weight the losses and their sum are still the same, but
// not Loss.Weight, and so not the mean.
//
// People who come from PyTorch ask why a loss named NLLLoss is used for
// cross-entropy. It is the second half of it. The cross-entropy of a
// distribution p against a target t is -Σ t[c]·log p[c], and where the target
// is a single class it is -log p[target]. NLL takes logarithms of probabilities
// as they are, picks the label's, negates and averages; that its rows are
// normalised it does not check. CrossEntropy of log-probabilities is that of
// the logits, for LogSoftmax leaves log-probabilities as they are.
//
// Each loss comes as three functions. The one without a suffix returns a
// [Loss], what a batch adds up to; Each gives the losses of the rows; Grad
// gives the gradient together with the Loss. [Softmax] gives probabilities,
// [LogSumExp] the number that LogSoftmax subtracts, and [LogSoftmaxGrad] and
// [SoftmaxGrad] the gradient of any function of log-probabilities or
// probabilities. [LinearCrossEntropy] takes the linear layer in as well, whose
// output the logits are. [ClassCounts],
// [BalancedWeights] and [EffectiveNumberWeights] make class weights, and
// [Labels] makes labels out of a column of numbers.
//
// # Formulas
//
// Let w be Options.Weight and s Options.SampleWeight, each 1 where it is nil,
// e Options.LabelSmoothing, and y the label of row i or t its distribution.
// The loss of a row has a coefficient q for each log-probability:
//
//	l[i] = s[i] · Σ_c q[c]·(-logp[i,c])
//
//	labels           q[y] = w[y]·((1-e) + e/C)
//	                 q[c] = w[c]·e/C               for all other c
//	distributions    q[c] = w[c]·((1-e)·t[c] + e/C)
//
//	Loss.Sum         Σ l[i]
//	Loss.Weight      Σ w[y]·s[i] for labels, Σ s[i] for distributions
//	Loss.Mean()      Sum / Weight
//
// and the gradient of the Sum, with p the softmax of the row and Q = Σ_c q[c],
// is
//
//	with respect to logits              s[i] · (p[c]·Q - q[c])
//	with respect to log-probabilities   -s[i] · q[c]
//
// that of the Mean being the same divided by Weight. A row counts if its label
// is not in Options.Ignore and its sample weight is not 0. The sums are over
// the rows that count; the loss and the gradient of the others are 0.
//
// Without smoothing only q[y] = w[y] is left. Smoothing changes the losses,
// not Weight, and neither do class weights with distributions: so PyTorch
// defines the mean.
//
//	option           CrossEntropy, NLL       SoftCrossEntropy        Each   Grad
//	Weight           loss and Loss.Weight    loss                    yes    yes
//	SampleWeight     loss and Loss.Weight    loss and Loss.Weight    yes    yes
//	Ignore           yes                     not read                yes    yes
//	LabelSmoothing   loss                    loss                    yes    yes
//	Reduction        not read                not read                no     yes
//
// PyTorch's reductions are Loss.Mean, Loss.Sum and the Each functions. The
// gradient of the losses without reduction for an upstream gradient u is that
// of the Sum with u for SampleWeight, which may be of any sign.
//
// # Linear layers
//
// Where the logits are x·wᵀ + b, [LinearCrossEntropyGrad] gives the loss and its
// gradients with respect to x, w and b from x, w and b: softmax regression, or
// the end of a network. The logits are never all in memory, and the products
// around the loss, which take nearly all of the time of such a step, are several
// times as fast as those of gonum.
//
// The logits are chains of fused multiply-adds in the order of the features, and
// the gradients in the order of the classes or of the rows that count. So their
// bits are defined, and what belongs to a row does not change with the others:
// products by a BLAS promise neither. The losses are those of CrossEntropy of
// these logits, bit for bit, and as accurate as the logits allow: of D features,
// one is within about (D+1)·2^-53·(Σ|x·w| + |b|) of what its inputs stand for.
//
// [SoftmaxGrad] is the product of a vector with the Hessian of the loss with
// respect to the logits, which is what Newton's method with conjugate gradients
// wants: see its example.
//
// # Matrices
//
// The rows of a matrix are samples and its columns classes. LogSoftmax,
// Softmax, LogSumExp, LogSoftmaxGrad and SoftmaxGrad take a dim: 1, or -1, works
// along each row, and 0, or -2, down each column. Below, a slice is what they normalise:
// a row or a column.
//
// The conventions are those of package mat. The destination comes first. An
// empty dst is sized; any other must have the right shape. A nil destination
// slice is allocated.
//
// Every [mat.Matrix] will do. A *mat.Dense, a slice of one and a *mat.VecDense
// are read where they lie, and so are their transposes. Any other type,
// gonum's or your own, is asked for its elements by At, on the goroutine that
// called, and for some of them more than once. Nothing of size N×C is allocated:
// what has to be copied is copied into dst or, a few rows or a piece of a long row
// at a time, into memory that is kept for the next call, some megabytes for each
// goroutine at most. Small calls with a destination allocate nothing.
//
// A function may work in place: dst may be exactly the region of any of its
// matrices, which means the same first element, shape and stride, soft targets
// and upstream gradients included. Where dst shares some elements with an
// input and is not its region the function panics, as far as that can be seen
// from the Raw methods of gonum's types. Three cases may surprise:
//
//   - The transpose of a square matrix is not the region of that matrix. With x
//     as dst and x.T() as input there would be elements that are written before
//     they are read: it panics.
//   - A type that embeds a *mat.Dense is read by At, which may give any element
//     of it at any place: it panics with all or a part of that Dense as dst.
//   - A matrix that Reset made empty still has its storage, and will be sized in
//     it if that is large enough. That storage counts as dst's.
//
// A destination slice must not overlap another argument, which is not checked.
//
// # What goes wrong
//
// A shape that does not fit is a mistake in the program, and panics. Values
// are data, and what is wrong with them is returned as an error that says
// where.
//
//	panic with a string               a matrix that is nil, or whose storage is
//	                                  shorter than its shape
//	panic(mat.ErrZeroLength)          no elements: of a matrix, labels or counts
//	panic(mat.ErrNegativeDimension)   a negative size or number of classes
//	panic with a string               a dim that is not in -2..1
//	panic(mat.ErrShape)               a shape or a length that does not fit
//	panic with a string               a dst that overlaps an input and is not its
//	                                  region
//	panic(mat.ErrShape)               the length of a Weight or SampleWeight
//	panic with a string               an unknown Reduction
//
//	*ValueError    a class weight that is negative, NaN or infinite
//	               a sample weight that is NaN or infinite, or negative in a Grad
//	               function with Mean, where the divisor would mean nothing
//	               a smoothing outside [0, 1], or too small for the class weights
//	*TargetError   a label outside [0, C) that is not ignored
//	*ValueError    a soft target that is negative or not finite
//	               a class weight of which a product is out of range: see Options
//	               a class count that is not positive and finite
//	               a beta outside [0, 1)
//	               for Labels, a number that is not a whole one
//
// Of several things that are wrong the first in the order of these tables is
// reported; of several matrices the first in the function's signature, of
// several options the first in [Options], and of several rows the first. The
// strings name the function, the argument and what was expected; the mat errors,
// which [mat.Maybe] catches, name nothing, so each function lists what it checks.
// An error names the argument, the place and what would be allowed.
//
// All of this is checked before anything is written. On an error the Loss is
// zero, a returned slice nil, and dst neither sized nor written. A panic in the
// At of a matrix is passed on; dst is then sized and holds any values.
//
// Special values are not errors:
//
//	slice                       log-softmax           loss and gradient
//	with a NaN or +Inf          NaN throughout        NaN
//	of -Inf only                NaN throughout        NaN
//	with some -Inf              -Inf there, else as   loss +Inf if it is the
//	                            without these         label's, else as without
//
//	LogSumExp                   NaN for a NaN, else +Inf for a +Inf, else -Inf
//	                            for a slice of -Inf only
//
//	row                         loss and gradient
//	ignored, SampleWeight 0     0; logits and soft target are not read
//	coefficient 0 of a term     that term is 0, whatever it multiplies
//
//	batch
//	without any weight          Weight 0, Mean NaN, its gradient 0
//
// So 0 times anything is 0: a class of weight 0, or of probability 0 in the
// target, cancels an infinite loss. No result is -0, and NaN is always the
// same NaN. For Loss.Correct, see [Loss]: of several largest logits the first
// counts, and a row with a NaN is not correct.
//
// Where there is no weight, every row being ignored or all weights being 0,
// the Mean is 0/0 as in PyTorch, but its gradient is 0: a batch of padding
// alone changes nothing. Sum is then 0, with one exception. With smoothing,
// rows whose own class has weight 0 still have a loss from the other classes,
// and Sum has its value. It would otherwise not be the sum of the rows'
// losses, nor the losses of shards add up to the loss of the whole.
//
// # Accuracy
//
// An ulp is the distance between the doubles next to the exact result, and
// 2^-1074 for results below 2^-1022. These are the largest errors, in ulp,
// that the tests of accuracy see against math/big, and the bounds that they
// hold every function to:
//
//	                                 bound    normal    hard  search
//	log-probability, loss of a row      2      1.26    1.26    1.31
//	probability, label's gradient       4      1.98    2.06    2.08
//	log-sum-exp                         1      0.58    0.84    0.74
//	distribution's gradient             4              2.01    2.12
//	the same with smoothing             8              2.41    3.90
//	LogSoftmaxGrad                      4              2.21
//	SoftmaxGrad                         6              3.94
//
// Normal are rows of logits from normal distributions, hard are rows made to be
// so, and search are the worst that climbing from bad rows finds. The
// log-sum-exp is in ulp of the largest of |max|, log Σ e^(x-max) and itself, a
// distribution's gradient in ulp of the larger of the two terms p·(Q-q) and
// q·(1-p) whose difference it is, and LogSoftmaxGrad's in ulp of the larger of
// |u|·(1-p) and p·Σ|u| over the other entries of the upstream u, and
// SoftmaxGrad's in ulp of the larger of p·|u|·(1-p) and p·Σ p·|u| over the other
// entries, for p of at least 2^-1022. A longer search on every route that rows
// and columns take, from maxima 800 apart to class weights from 1e-300 to 1e300,
// found 1.47 for the loss of a distribution, 2.13 for its gradient, 4.49 with
// smoothing and weights, 2.94 for LogSoftmaxGrad and 4.79 for SoftmaxGrad. In
// docs/numbers.md is how all of it is computed, and the rows of the largest
// errors.
//
// The bounds are on the relative error, and hold for results of any size. That
// matters for the rows that a classifier is sure of: the loss of a label whose
// logit is 700 above the others is about 1e-304, and its gradient is of that
// size too. The usual way, (x-m) - log Σ e^(x-m), computes both as 0 from a
// lead of some 37 on, where 1+e^-37 rounds to 1; so do PyTorch
// (pytorch#113708) and SciPy (scipy#19521). See LogSoftmax's example.
//
// Weights and smoothing round on top of that: each product of weights, the
// division by Weight and the product with what is left of these once, and a
// smoothed coefficient two or three times. Where a probability or 1-p is below
// the normal numbers, a weight, a target or an upstream gradient multiplies the
// rounding to those too.
//
// Loss.Sum and Loss.Weight are the exact sums over the rows, rounded once,
// whatever the rows and however many, and so is a sum by Loss.Add, for a Loss
// has unexported fields with what the rounding left; JSON and gob keep them.
// Loss.Mean is the quotient of the exact sums, rounded once. Class weights are
// within 0.501 ulp.
//
// # The same bits everywhere
//
// What a function returns for a slice depends on the values in it and on their
// number and on nothing else: not on the other rows, the dim, the stride, the
// type of the matrix, whether it is in place, GOMAXPROCS, the instruction set
// or the architecture. (The gradient of a Mean depends on Loss.Weight as
// well.) A Loss depends on the losses and weights of the rows, and not on their
// order, nor on how they are split into Losses that Loss.Add adds up. A training
// that is otherwise deterministic can therefore be repeated to the bit on another
// machine, and a result does not change when rows are batched in another way.
//
// The bits belong to a version of this package: see CHANGELOG.md for when they
// may change.
//
// Rows are shared out to at most GOMAXPROCS goroutines when there is work
// enough to pay for them, and so is a single row of very many classes. No
// goroutine outlives a call. All functions may be called from several
// goroutines at once, as long as no destination is in use elsewhere.
//
// # Build tags and environment
//
// The tags purego, noasm and safe each leave out the assembly. On amd64
// GODEBUG=cpu.avx512f=off steps down from AVX-512 to AVX2 when the program
// starts, and GODEBUG=cpu.avx2=off from both to Go. Without a fused multiply-add
// in hardware math.FMA is slow, and the bits are the same.
//
// # References
//
// PyTorch, LogSoftmax, NLLLoss and CrossEntropyLoss,
// https://pytorch.org/docs/stable/nn.html
//
// ONNX, operators LogSoftmax, NegativeLogLikelihoodLoss and
// SoftmaxCrossEntropyLoss, https://onnx.ai/onnx/operators/
//
// P. Blanchard, D. J. Higham and N. J. Higham, Accurately Computing the
// Log-Sum-Exp and Softmax Functions, IMA Journal of Numerical Analysis 41(4),
// 2021.
//
// Y. Cui, M. Jia, T.-Y. Lin, Y. Song and S. Belongie, Class-Balanced Loss
// Based on Effective Number of Samples, CVPR 2019.
//
// Losses of confident rows that are lost:
// https://github.com/pytorch/pytorch/issues/113708 and
// https://github.com/scipy/scipy/issues/19521
package logsoftmax
