// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"example.org/logsoftmax/bench/internal/sweep"
)

// conditions says on what and when the figures were taken.
func conditions(r *Results) string {
	m := r.Machine
	return fmt.Sprintf("%s, %d cores, %s, L2 %s, %s, %s, %s; %s%s", m.CPU, m.Cores, m.Vector, m.L2, m.OS, m.Arch, m.Go,
		r.Date, map[bool]string{true: ", a quick pass"}[r.Quick])
}

// speedSection is the speed of all peers in Markdown, a table for each operation.
func speedSection(r *Results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nanoseconds per element, float64: the median of %s interleaved samples (of one, where a call takes more than a second), "+
		"± half the range of the middle 80 %% of them, and in brackets the ratio to this package. In bold the fastest. %s.\n\n", sampleRange(r), conditions(r))
	b.WriteString(peerNotes(r.Peers))
	for _, op := range ops {
		for _, n := range threadsOf(r, op) {
			speedTable(&b, r, op, n)
		}
	}
	b.WriteString(memoryTable(r))
	return b.String()
}

// memoryTable has the working memory of the linear operations.
func memoryTable(r *Results) string {
	if len(r.Memory) == 0 {
		return ""
	}
	var b strings.Builder
	var shapes []Shape
	for _, m := range r.Memory {
		if !slices.Contains(shapes, m.Shape) {
			shapes = append(shapes, m.Shape)
		}
	}
	b.WriteString("\n### Memory of the same\n\nMegabytes at the peak of a call on one thread, beyond inputs and results.\n\n")
	header := []string{"rows × features × classes"}
	for _, s := range shapes {
		header = append(header, s.String())
	}
	row(&b, header...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(shapes)) + "\n")
	for _, p := range r.Peers {
		cells := []string{p.Name}
		for _, s := range shapes {
			for _, m := range r.Memory {
				if m.Peer == p.Name && m.Shape == s {
					cells = append(cells, fmt.Sprintf("%.1f", float64(m.Bytes)/1e6))
				}
			}
		}
		if len(cells) > 1 {
			row(&b, cells...)
		}
	}
	return b.String()
}

// threadsOf returns the numbers of threads that op was timed with.
func threadsOf(r *Results, op Op) []int {
	var list []int
	for _, t := range r.Speed {
		if t.Op == op && !slices.Contains(list, t.Threads) {
			list = append(list, t.Threads)
		}
	}
	slices.Sort(list)
	return list
}

// speedTable writes the table of one operation: peers down, shapes across.
func speedTable(b *strings.Builder, r *Results, op Op, threads int) {
	shapes := r.shapes(op, threads)
	title := fmt.Sprintf("%s, %d threads", op, threads)
	if threads == 1 {
		title = string(op)
	}
	fmt.Fprintf(b, "\n### %s\n\n", title)
	first := "rows × classes"
	if op == LinearGrad {
		first = "rows × features × classes"
		b.WriteString("Milliseconds, and GFLOP/s for the 4·N·D·C operations of the two products.\n\n")
	}
	header := []string{first}
	for _, s := range shapes {
		header = append(header, s.String())
	}
	row(b, header...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(shapes)) + "\n")
	for _, p := range r.Peers {
		cells := []string{p.Name}
		measured := false
		for _, s := range shapes {
			t := r.find(op, s, threads, p.Name)
			measured = measured || t != nil
			cells = append(cells, speedCell(r, t, p.Floor))
		}
		if measured {
			row(b, cells...)
		}
	}
}

func speedCell(r *Results, t *Timing, floor bool) string {
	if t == nil {
		return "–"
	}
	value := decimals(t.Median)
	if t.Features > 0 {
		value = decimals(t.milliseconds())
	}
	if !floor && t.Peer == fastest(r, t.Op, t.Shape, t.Threads) {
		value = "**" + value + "**"
	}
	cell := value
	if t.Samples > 1 {
		cell += fmt.Sprintf(" ±%.0f%%", 50*(t.P90-t.P10)/t.Median)
	}
	if t.Features > 0 {
		cell += ", " + decimals(t.gigaflops())
	}
	if ours := r.find(t.Op, t.Shape, t.Threads, ownName); ours != nil && t.Peer != ownName {
		cell += fmt.Sprintf(" (%s×)", decimals(t.Median/ours.Median))
	}
	return cell
}

// milliseconds is the time of a call.
func (t *Timing) milliseconds() float64 { return t.Median * float64(t.Rows*t.Cols) / 1e6 }

// gigaflops is the rate of the products of a linear operation.
func (t *Timing) gigaflops() float64 { return 4 * float64(t.Features) / t.Median }

// fastest returns the name of the peer with the least median, other than floors.
func fastest(r *Results, op Op, s Shape, threads int) string {
	name, least := "", 0.0
	for _, p := range r.Peers {
		t := r.find(op, s, threads, p.Name)
		if t != nil && !p.Floor && (name == "" || t.Median < least) {
			name, least = p.Name, t.Median
		}
	}
	return name
}

// sampleRange says how many samples the medians are of.
func sampleRange(r *Results) string {
	lo, hi := 0, 0
	for _, t := range r.Speed {
		if t.Samples > 1 {
			lo, hi = cmp.Or(min(lo, t.Samples), t.Samples), max(hi, t.Samples)
		}
	}
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

// peerNotes says which versions were measured, how each was called, and which
// peers are absent.
func peerNotes(peers []Peer) string {
	var b strings.Builder
	row(&b, "peer", "version", "how it is called")
	b.WriteString("| --- | --- | --- |\n")
	for _, p := range peers {
		note := p.Note
		if p.Absent != "" {
			note = "not measured: " + p.Absent
		}
		row(&b, p.Name, p.Version, note)
	}
	return b.String()
}

// summaryPeers are the columns of the README's tables.
var summaryPeers = []string{ownName, "stable loop", "floats.LogSumExp", "simd", "PyTorch", "SciPy", "scikit-learn"}

// summary is what the README's table of speed shows.
var summary = []struct {
	op Op
	Shape
}{
	{CrossEntropyGrad, Shape{Rows: 1, Cols: 10}},
	{LogSoftmaxRows, Shape{Rows: 4096, Cols: 10}},
	{WeightedGrad, Shape{Rows: 65536, Cols: 2}},
	{CrossEntropyGrad, Shape{Rows: 1000000, Cols: 10}},
	{CrossEntropyGrad, Shape{Rows: 100000, Cols: 65}},
	{LogSoftmaxRows, Shape{Rows: 1024, Cols: 1000}},
	{SmoothedGrad, Shape{Rows: 16, Cols: 50257}},
	{CrossEntropyGrad, Shape{Rows: 4096, Cols: 4096}},
	{LogSoftmaxColumns, Shape{Rows: 4096, Cols: 4096}},
}

// speedSummary is the README's table of speed, and what the sweep found.
func speedSummary(r *Results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nanoseconds per element, one thread, in bold the fastest of all that were measured; simd's exponential errs by up to 3e-6. %s.\n\n", conditions(r))
	row(&b, append([]string{""}, summaryPeers...)...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(summaryPeers)) + "\n")
	for _, c := range summary {
		if r.find(c.op, c.Shape, 1, ownName) == nil {
			continue
		}
		cells := []string{fmt.Sprintf("%s, %v", c.op, c.Shape)}
		for _, p := range summaryPeers {
			t := r.find(c.op, c.Shape, 1, p)
			switch {
			case t == nil:
				cells = append(cells, "–")
			case p == fastest(r, c.op, c.Shape, 1):
				cells = append(cells, "**"+decimals(t.Median)+"**")
			default:
				cells = append(cells, decimals(t.Median))
			}
		}
		row(&b, cells...)
	}
	if s := linearSummary(r); s != "" {
		b.WriteString("\n" + s + "\n")
	}
	if s := sweepSentence(r); s != "" {
		b.WriteString("\n" + s + "\n")
	}
	return b.String()
}

// linearSummary compares softmax regression with gonum's products and PyTorch.
func linearSummary(r *Results) string {
	var parts []string
	for _, s := range r.shapes(LinearGrad, 1) {
		ours := r.find(LinearGrad, s, 1, ownName)
		if ours == nil {
			return ""
		}
		part := fmt.Sprintf("%v %s GFLOP/s", s, decimals(ours.gigaflops()))
		var others []string
		for _, name := range []string{"gonum Mul", "PyTorch"} {
			if t := r.find(LinearGrad, s, 1, name); t != nil {
				others = append(others, name+" "+decimals(t.gigaflops()))
			}
		}
		parts = append(parts, part+" ("+strings.Join(others, ", ")+")")
	}
	if len(parts) == 0 {
		return ""
	}
	return "`LinearCrossEntropyGrad` with the gradients of weights and bias, by rows × features × classes: " + strings.Join(parts, "; ") + "."
}

// accuracySummary is the README's table of accuracy: the largest errors over all
// samples.
func accuracySummary(r *Results) string {
	var b strings.Builder
	b.WriteString("Largest error in ulp over all rows measured, and how many of the losses of confident rows come out as 0, which none of them is. At 9e15 no digit is right.\n\n")
	header := []string{""}
	for _, q := range quantities {
		header = append(header, string(q))
	}
	row(&b, append(header, "losses of 0")...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(quantities)+1) + "\n")
	for _, name := range summaryPeers {
		cells := []string{name}
		has := false
		for _, q := range quantities {
			e, ok := r.largestError(name, q)
			cells = append(cells, errorCell(e, ok))
			has = has || ok
		}
		if has {
			row(&b, append(cells, zeroCell(r, name))...)
		}
	}
	return b.String()
}

func errorCell(e ulpError, ok bool) string {
	if !ok {
		return "–"
	}
	return e.String()
}

func zeroCell(r *Results, peer string) string {
	for _, z := range r.Zeros {
		if z.Peer == peer {
			return fmt.Sprintf("%d of %d", z.Zero, z.Rows)
		}
	}
	return "–"
}

// largestError returns the largest error of a quantity over all samples.
func (r *Results) largestError(peer string, q Quantity) (largest ulpError, ok bool) {
	for _, e := range r.Errors {
		if e.Peer != peer || e.Quantity != q {
			continue
		}
		ok = true
		if e.ULP < 0 || largest < 0 {
			largest = -1
		} else {
			largest = max(largest, e.ULP)
		}
	}
	return largest, ok
}

// accuracySection is the accuracy of all peers in Markdown.
func accuracySection(r *Results) string {
	var b strings.Builder
	var samples []string
	for _, e := range r.Errors {
		if !slices.Contains(samples, e.Sample) {
			samples = append(samples, e.Sample)
		}
	}
	b.WriteString("Largest error in ulp against exact arithmetic: rows of 1000 logits drawn from a normal distribution with that standard deviation and labels drawn from all classes, " +
		"and rows of 10 with one logit, that of the label, larger by 0 to 700 than the next. Gradients are those of the mean over a power of two of rows, " +
		"which rounds nothing. An error of 9e15 is a result of 0, none of whose digits is right.\n")
	for _, q := range quantities {
		fmt.Fprintf(&b, "\n### %s%s\n\n", strings.ToUpper(string(q[:1])), q[1:])
		header := append([]string{""}, samples...)
		if q == LargestLogProb {
			header = append(header, "losses of 0")
		}
		row(&b, header...)
		b.WriteString("| --- |" + strings.Repeat(" ---: |", len(header)-1) + "\n")
		for _, p := range r.Peers {
			cells := []string{p.Name}
			for _, s := range samples {
				for _, e := range r.Errors {
					if e.Peer == p.Name && e.Sample == s && e.Quantity == q {
						cells = append(cells, e.ULP.String())
					}
				}
			}
			if len(cells) == 1 {
				continue
			}
			if q == LargestLogProb {
				cells = append(cells, zeroCell(r, p.Name))
			}
			row(&b, cells...)
		}
	}
	b.WriteString("\n### Rows that are easy to get wrong\n\n" + hardTable(r))
	return b.String()
}

// largestGapError returns the largest error of this package's losses of
// confident rows.
func largestGapError(r *Results) ulpError {
	var largest ulpError
	for _, g := range r.Gaps {
		if g.Peer != ownName {
			continue
		}
		if g.ULP < 0 {
			return g.ULP
		}
		largest = max(largest, g.ULP)
	}
	return largest
}

// hardTable has the hard rows, with what is wrong about each peer's result.
func hardTable(r *Results) string {
	var b strings.Builder
	var names []string
	wrong := make(map[[2]string]string)
	for _, h := range r.Hard {
		if _, ok := wrong[[2]string{h.Row, r.Hard[0].Peer}]; !ok {
			names = append(names, h.Row)
		}
		wrong[[2]string{h.Row, h.Peer}] = h.Wrong
	}
	b.WriteString("✓, or the first log-probability that is wrong and what it should be. " +
		"A row with a NaN or +Inf, or of -Inf only, has no log-softmax: NaN throughout, as in PyTorch.\n\n")
	row(&b, append([]string{""}, names...)...)
	b.WriteString("| --- |" + strings.Repeat(" --- |", len(names)) + "\n")
	for _, p := range r.Peers {
		cells := []string{p.Name}
		for _, n := range names {
			if w, ok := wrong[[2]string{n, p.Name}]; ok {
				if w == "" {
					w = "✓"
				}
				cells = append(cells, w)
			}
		}
		if len(cells) > 1 {
			row(&b, cells...)
		}
	}
	return b.String()
}

// sweepSentence says in one sentence what the sweep found.
func sweepSentence(r *Results) string {
	var ratios []float64
	var least *sweep.Cell
	cells := r.cells()
	for i := range cells {
		c := &cells[i]
		if c.Size == sweep.Small || c.Layout != sweep.Dense || c.Floor() < sweep.OptionFloor {
			continue
		}
		ratios = append(ratios, c.Ratio())
		if least == nil || c.Ratio() < least.Ratio() {
			least = c
		}
	}
	if least == nil {
		return ""
	}
	slices.Sort(ratios)
	return fmt.Sprintf("Beside the plain loop of the same job, over %d combinations of operation, options, size and width from 2 to 50257 classes: "+
		"%.1f times as fast in the median, at least %.1f times (%s, %d×%d).",
		len(ratios), ratios[len(ratios)/2], least.Ratio(), least.Job, least.Rows, least.Cols)
}

// sweepSection is the sweep in Markdown: for each job how many times as fast as
// its loop, small calls, and what misses an aim.
func sweepSection(r *Results) string {
	var b strings.Builder
	cells := r.cells()
	if len(cells) == 0 {
		return ""
	}
	fmt.Fprintf(&b, "How many times as fast as the plain loop of the same job, one thread: median over the widths, and the least with its width. %s.\n\n", conditions(r))
	var sizes []int
	for _, c := range cells {
		if c.Size != sweep.Small && !slices.Contains(sizes, c.Size) {
			sizes = append(sizes, c.Size)
		}
	}
	header := []string{"", "aim"}
	for _, s := range sizes {
		header = append(header, fmt.Sprintf("%d elements", s))
	}
	row(&b, header...)
	b.WriteString("| --- | ---: |" + strings.Repeat(" ---: |", len(sizes)) + "\n")
	for _, j := range sweep.Jobs {
		floor := (&sweep.Cell{Job: j.Name, Layout: sweep.Dense, Size: 1}).Floor()
		line := []string{j.Name, fmt.Sprintf("%g", floor)}
		for _, s := range sizes {
			var list []figure
			for _, c := range cells {
				if c.Job == j.Name && c.Layout == sweep.Dense && c.Size == s {
					list = append(list, figure{c.Ratio(), fmt.Sprint(c.Cols)})
				}
			}
			line = append(line, spread(list))
		}
		row(&b, line...)
	}
	b.WriteString(smallTable(cells))
	b.WriteString("\n### What misses an aim\n")
	for i, list := range sweep.Findings(cells)[:sweep.Threads] { // that of threads is for the command
		fmt.Fprintf(&b, "\n%d of %d cells: %s.\n", len(list), len(cells), sweep.Aims[i])
		if len(list) == 0 {
			continue
		}
		b.WriteString("\n")
		for _, f := range list[:min(8, len(list))] {
			fmt.Fprintf(&b, "* %s: %s\n", &f.Cell, f.What)
		}
	}
	return b.String()
}

// figure is a ratio and where it was measured.
type figure struct {
	ratio float64
	at    string
}

// spread writes the median, and the least with its place.
func spread(list []figure) string {
	if len(list) == 0 {
		return "–"
	}
	slices.SortFunc(list, func(a, b figure) int { return cmp.Compare(a.ratio, b.ratio) })
	return fmt.Sprintf("%.1f, %.1f at %s", list[len(list)/2].ratio, list[0].ratio, list[0].at)
}

// smallTable has the time of small calls, and how many times as fast as the loop
// they are.
func smallTable(cells []sweep.Cell) string {
	var b strings.Builder
	var jobs []string
	var rows [][2]int
	byPlace := make(map[string]*sweep.Cell)
	for i := range cells {
		c := &cells[i]
		if c.Size != sweep.Small || c.Cols > 10 && c.Cols != 64 && c.Cols != 100 || c.Rows == 32 {
			continue
		}
		if !slices.Contains(jobs, c.Job) {
			jobs = append(jobs, c.Job)
		}
		if s := [2]int{c.Rows, c.Cols}; !slices.Contains(rows, s) {
			rows = append(rows, s)
		}
		byPlace[fmt.Sprint(c.Job, c.Rows, c.Cols)] = c
	}
	if len(jobs) == 0 {
		return ""
	}
	b.WriteString("\n### Small calls\n\nNanoseconds a call, and in brackets how many times as fast as the loop.\n\n")
	header := []string{""}
	for _, s := range rows {
		header = append(header, fmt.Sprintf("%d×%d", s[0], s[1]))
	}
	row(&b, header...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(rows)) + "\n")
	for _, j := range jobs {
		line := []string{j}
		for _, s := range rows {
			c := byPlace[fmt.Sprint(j, s[0], s[1])]
			if c == nil {
				line = append(line, "–")
				continue
			}
			line = append(line, fmt.Sprintf("%.0f (%.1f)", c.Call(), c.Ratio()))
		}
		row(&b, line...)
	}
	return b.String()
}

// row writes a row of a table.
func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// decimals writes a time or a ratio with two or three digits.
func decimals(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// String writes an error in two digits, and by powers of ten where it is large.
func (e ulpError) String() string {
	switch {
	case e < 0:
		return "not finite"
	case e < 10:
		return fmt.Sprintf("%.1f", float64(e))
	case e < 1e4:
		return fmt.Sprintf("%.0f", float64(e))
	}
	return strings.Replace(fmt.Sprintf("%.0e", float64(e)), "e+", "e", 1)
}
