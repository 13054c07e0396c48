// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"

	"example.org/logsoftmax/internal/kernel"
)

// Loss is what a batch adds up to. Losses of batches, shards and machines
// add up, by Add, to the Loss of the whole.
//
// Sum and Weight are sums over the rows that count: those whose label is not
// ignored and whose sample weight is not 0. Each is the exact sum, rounded
// once, whatever the rows, their number and their order; it is infinite where
// the sum is too large for a double. The same holds when Losses are added, for
// a Loss carries, in fields that are not exported, what the rounding of Sum and
// Weight left. So all the ways to split a batch, and to add up the Losses of
// the parts, give Losses that are equal, as == has it but for NaN.
//
// A Loss that was filled in by hand is without these fields, and its Sum and
// Weight count for what they are, as they do when they have been changed.
// Through JSON and gob a Loss goes whole; see MarshalJSON.
type Loss struct {
	Sum     float64 // of the rows' losses, as the Each functions return them
	Weight  float64 // what Mean divides by
	Rows    int     // all rows, ignored ones included
	Ignored int     // rows whose label is ignored or whose SampleWeight is 0
	Correct int     // CrossEntropy and LinearCrossEntropy only: rows whose lowest-indexed largest logit is the target; a row with a NaN is not

	// What the rounding of Sum and Weight left. It counts only while it fits
	// them, so that what is left over from a field changed by hand is worth half
	// a unit in its last place at most.
	sum, weight kernel.ExactRest
	// The rows that count of which Correct says nothing.
	unjudged int
}

// newLoss returns the Loss of a batch without a word on which rows are correct.
func newLoss(sum, weight *kernel.ExactSum, rows, ignored int) (l Loss) {
	l.set(sum, weight, rows, ignored)
	return l
}

// set is newLoss for an l that is zero.
func (l *Loss) set(sum, weight *kernel.ExactSum, rows, ignored int) {
	l.Sum, l.sum = sum.Split()
	l.Weight, l.weight = weight.Split()
	l.Rows, l.Ignored, l.unjudged = rows, ignored, rows-ignored
}

// judge sets the number of correct rows.
func (l *Loss) judge(correct int) { l.Correct, l.unjudged = correct, 0 }

// Add adds m to l, so that l becomes the Loss of the rows of both: the same,
// to the last bit, in whatever order Losses are added.
func (l *Loss) Add(m Loss) {
	sum, weight := l.exact()
	mSum, mWeight := m.exact()
	sum.Merge(&mSum)
	weight.Merge(&mWeight)
	l.Sum, l.sum = sum.Split()
	l.Weight, l.weight = weight.Split()
	l.unjudged = l.unknown() + m.unknown()
	l.Rows += m.Rows
	l.Ignored += m.Ignored
	l.Correct += m.Correct
}

// exact returns Sum and Weight without their rounding.
func (l *Loss) exact() (sum, weight kernel.ExactSum) {
	return kernel.JoinExact(l.Sum, l.sum), kernel.JoinExact(l.Weight, l.weight)
}

// Mean returns Sum/Weight, the weighted mean of the rows' losses. It is the
// quotient of the exact sums, rounded once: also below the range of normal
// doubles, and where Sum or Weight is too large for a double. It is NaN when
// Weight is 0, as where every row is ignored.
func (l Loss) Mean() float64 {
	if l.weight == (kernel.ExactRest{}) {
		switch {
		case l.Weight == 0:
			return kernel.NaN
		case l.sum == (kernel.ExactRest{}):
			// Of two doubles division itself is rounded once.
			return kernel.Canonical(l.Sum / l.Weight)
		}
	}
	if mean, ok := l.ordinaryMean(); ok {
		return mean
	}
	sum, weight := l.exact()
	s, sExponent := sum.Pair()
	w, wExponent := weight.Pair()
	switch {
	case w.Hi == 0:
		return kernel.NaN
	case s.Hi == 0 || !kernel.IsFinite(s.Hi) || !kernel.IsFinite(w.Hi):
		return kernel.Canonical(s.Hi / w.Hi)
	}
	if exponent := sExponent - wExponent; exponent > -1000 {
		// The quotient is from ½ to 2, and its two words are within unsure of it:
		// as a rule both ends round to the same double.
		const unsure = 0x1p-100
		// Divided by a power of two, a number of rows say, it is often half way
		// between two doubles, which no such words tell. But then the sum is.
		if v := sum.Value(); w.Hi == 0.5 && l.weight == (kernel.ExactRest{}) && kernel.IsFinite(v) {
			return math.Ldexp(v, 1-wExponent)
		}
		q := s.Over(w)
		if least, most := q.Hi+(q.Lo-unsure), q.Hi+(q.Lo+unsure); least == most {
			return math.Ldexp(least, exponent)
		}
	}
	q, _ := new(big.Rat).Quo(rational(&sum), rational(&weight)).Float64()
	return kernel.Canonical(q)
}

// ordinaryMean returns the mean of a sum in two words, or of any by a power of two,
// and a weight in one, neither of them near the ends of the range, and whether that
// is what they are and their quotient tells how it is rounded.
func (l *Loss) ordinaryMean() (mean float64, ok bool) {
	const least, most = 0x1p-400, 0x1p400
	s, w := math.Abs(l.Sum), math.Abs(l.Weight)
	if l.weight != (kernel.ExactRest{}) || !(s >= least && s <= most && w >= least && w <= most) {
		return 0, false
	}
	if math.Float64bits(w)<<12 == 0 {
		// Divided by a power of two, a number of rows say, the sum rounds as it is.
		return l.Sum / l.Weight, true
	}
	mid, fits := l.sum.Mid()
	if !fits || l.Sum+mid != l.Sum {
		return 0, false
	}
	q := kernel.Pair{Hi: l.Sum, Lo: mid}.Over(kernel.Pair{Hi: l.Weight})
	unsure := math.Abs(q.Hi) * 0x1p-99
	mean = q.Hi + (q.Lo - unsure)
	return mean, mean == q.Hi+(q.Lo+unsure)
}

// rational returns a finite sum as a rational number.
func rational(s *kernel.ExactSum) *big.Rat {
	r, _ := new(big.Rat).SetString(s.Text())
	return r
}

// Perplexity returns exp(Mean()), within 0.501 ulp for the double that Mean
// returns: the number of classes among which an even choice would cost as much.
// It is NaN when Weight is 0.
func (l Loss) Perplexity() float64 {
	return kernel.Exponential(l.Mean())
}

// Accuracy returns Correct/(Rows-Ignored), the share of the rows that count
// whose largest logit is the target's. It is NaN when no row counts, and when
// there are rows of which that is not known. CrossEntropy and LinearCrossEntropy
// look at it, with a gradient and without; NLL and SoftCrossEntropy do not, and
// the Accuracy of their Losses is NaN, as that of every Loss to which one of
// these was added. A Correct that was set by hand to more than was counted is
// taken to be about all rows.
func (l Loss) Accuracy() float64 {
	n := l.Rows - l.Ignored
	if n == 0 || l.unknown() > 0 {
		return kernel.NaN
	}
	return float64(l.Correct) / float64(n)
}

// unknown returns the number of rows that count of which Correct says nothing.
func (l *Loss) unknown() int {
	if l.Correct > l.Rows-l.Ignored-l.unjudged {
		return 0
	}
	return l.unjudged
}

// String returns the exported fields, as fmt prints those of a struct by %+v.
func (l Loss) String() string {
	return fmt.Sprintf("{Sum:%v Weight:%v Rows:%v Ignored:%v Correct:%v}", l.Sum, l.Weight, l.Rows, l.Ignored, l.Correct)
}

// lossJSON is a Loss as JSON.
type lossJSON struct {
	Sum, Weight            jsonFloat
	Rows, Ignored, Correct int
	Rest                   *lossRest `json:",omitempty"`
}

type lossRest struct {
	Sum      string `json:",omitempty"`
	Weight   string `json:",omitempty"`
	Unjudged int    `json:",omitempty"`
}

// MarshalJSON returns l as a JSON object that has the exported fields under
// their names. A Sum or Weight that JSON has no number for, as in the Loss of a
// model that diverged, is one of the strings "NaN", "Infinity" and "-Infinity".
//
// Where there is more to know there is a field Rest, an object. Its Sum and
// Weight are the sums without their rounding, strings with a hexadecimal
// floating-point number of as many digits as that takes; its Unjudged is the
// number of rows that keep Accuracy from being known. So Losses that were
// sent through JSON add up to the last digit.
func (l Loss) MarshalJSON() ([]byte, error) {
	sum, weight := l.exact()
	v := lossJSON{jsonFloat(l.Sum), jsonFloat(l.Weight), l.Rows, l.Ignored, l.Correct, nil}
	more := lossRest{sum.TextBeyond(), weight.TextBeyond(), l.unknown()}
	if more != (lossRest{}) {
		v.Rest = &more
	}
	return json.Marshal(v)
}

// UnmarshalJSON sets l to what MarshalJSON has written. Without a field Rest,
// and where that is not about this Sum or Weight, these count for what they are.
func (l *Loss) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	v := lossJSON{jsonFloat(l.Sum), jsonFloat(l.Weight), l.Rows, l.Ignored, l.Correct, nil}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	var more lossRest
	if v.Rest != nil {
		more = *v.Rest
	}
	m := Loss{Rows: v.Rows, Ignored: v.Ignored, Correct: v.Correct, unjudged: more.Unjudged}
	for _, f := range []struct {
		value *float64
		rest  *kernel.ExactRest
		read  jsonFloat
		text  string
	}{{&m.Sum, &m.sum, v.Sum, more.Sum}, {&m.Weight, &m.weight, v.Weight, more.Weight}} {
		s := kernel.JoinExact(float64(f.read), kernel.ExactRest{})
		if f.text != "" {
			var err error
			if s, err = kernel.JoinText(float64(f.read), f.text); err != nil {
				return fmt.Errorf("logsoftmax: Loss: Rest: %q is %w", f.text, err)
			}
		}
		*f.value, *f.rest = s.Split()
	}
	if m.unjudged < 0 {
		return fmt.Errorf("logsoftmax: Loss: Rest: Unjudged is %d", m.unjudged)
	}
	*l = m
	return nil
}

// GobEncode returns what MarshalJSON does.
func (l Loss) GobEncode() ([]byte, error) { return l.MarshalJSON() }

// GobDecode does what UnmarshalJSON does.
func (l *Loss) GobDecode(text []byte) error { return l.UnmarshalJSON(text) }

// A jsonFloat is a number that JSON may have to write as a string.
type jsonFloat float64

func (f jsonFloat) MarshalJSON() ([]byte, error) {
	switch x := float64(f); {
	case x != x:
		return []byte(`"NaN"`), nil
	case x > math.MaxFloat64:
		return []byte(`"Infinity"`), nil
	case x < -math.MaxFloat64:
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(x)
	}
}

func (f *jsonFloat) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case `"NaN"`:
		*f = jsonFloat(kernel.NaN)
	case `"Infinity"`:
		*f = jsonFloat(math.Inf(1))
	case `"-Infinity"`:
		*f = jsonFloat(math.Inf(-1))
	default:
		return json.Unmarshal(text, (*float64)(f))
	}
	return nil
}
