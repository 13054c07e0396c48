// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"strings"
)

const (
	speedPicture    = "docs/speed.png"
	accuracyPicture = "docs/accuracy.png"
)

// speedSection is the speed of all peers in Markdown.
func speedSection(r *Results) string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "Nanoseconds per element, float64, one thread where no other number is given: the median of %s interleaved samples, ± half the range of the middle 80 %% of them, "+
		"and in brackets the ratio to this package. In bold the fastest. %s, %d cores, %s, L2 %s, %s, %s, %s; %s%s; "+
		"made by `go -C bench run .` ([results](bench/results.json)).\n\n",
		sampleRange(r), m.CPU, m.Cores, m.Vector, m.L2, m.OS, m.Arch, m.Go, r.Date, map[bool]string{true: ", a quick pass"}[r.Quick])

	shapes := r.shapes()
	var header []string
	for _, s := range shapes {
		header = append(header, s.String())
	}
	row(&b, append([]string{"rows × classes"}, header...)...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(shapes)) + "\n")
	threads := []int{1}
	for _, t := range r.Speed {
		if t.Threads > 1 {
			threads = []int{1, t.Threads}
			break
		}
	}
	for _, n := range threads {
		for _, op := range ops {
			speedRows(&b, r, op, n, shapes)
		}
	}
	b.WriteString("\n" + peerNotes(r.Peers) + "\n\n")
	fmt.Fprintf(&b, "![Time per element of LogSoftmax and of CrossEntropy with gradient, by shape and library, against copying the matrix](%s)\n", speedPicture)
	return b.String()
}

// speedRows writes the rows of one operation, nothing where nobody was timed.
func speedRows(b *strings.Builder, r *Results, op Op, threads int, shapes []Shape) {
	headed := false
	for _, p := range r.Peers {
		cells := []string{p.Name}
		measured := false
		for _, s := range shapes {
			t := r.find(op, s, threads, p.Name)
			measured = measured || t != nil
			cells = append(cells, speedCell(r, t, p.Floor))
		}
		if !measured {
			continue
		}
		if !headed {
			title := "**" + string(op) + "**"
			if threads > 1 {
				title = fmt.Sprintf("**%s, %d threads**", op, threads)
			}
			row(b, append([]string{title}, make([]string, len(shapes))...)...)
			headed = true
		}
		row(b, cells...)
	}
}

func speedCell(r *Results, t *Timing, floor bool) string {
	if t == nil {
		return "–"
	}
	s := Shape{t.Rows, t.Cols}
	value := decimals(t.Median)
	if !floor && t.Peer == fastest(r, t.Op, s, t.Threads) {
		value = "**" + value + "**"
	}
	cell := fmt.Sprintf("%s ±%.0f%%", value, 50*(t.P90-t.P10)/t.Median)
	if ours := r.find(t.Op, s, t.Threads, ownName); ours != nil && t.Peer != ownName {
		cell += fmt.Sprintf(" (%s×)", decimals(t.Median/ours.Median))
	}
	return cell
}

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
	if len(r.Speed) == 0 {
		return "no"
	}
	lo, hi := r.Speed[0].Samples, r.Speed[0].Samples
	for _, t := range r.Speed {
		lo, hi = min(lo, t.Samples), max(hi, t.Samples)
	}
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

// peerNotes says which versions were measured, how each was called, and which
// peers are absent.
func peerNotes(peers []Peer) string {
	var notes []string
	for _, p := range peers {
		name := strings.TrimSpace(p.Name + " " + p.Version)
		switch {
		case p.Absent != "":
			notes = append(notes, name+": not measured, "+p.Absent)
		case p.Note != "":
			notes = append(notes, name+": "+p.Note)
		}
	}
	return "Peers: " + strings.Join(notes, ". ") + "."
}

// accuracySection is the accuracy of all peers in Markdown.
func accuracySection(r *Results) string {
	var b strings.Builder
	var samples []string
	rows := make(map[string]int)
	for _, e := range r.Errors {
		if rows[e.Sample] == 0 {
			samples = append(samples, e.Sample)
		}
		rows[e.Sample] = e.Rows
	}
	b.WriteString("Largest error in ulp of the log-probabilities against exact arithmetic, for the largest logit of each row / for all others: " +
		"rows of 1000 logits drawn from a normal distribution with that standard deviation, and rows of 10 with one logit larger by 0 to 700 than the next. " +
		"Last, how often the loss of that logit comes out as exactly 0, which it never is.\n\n")
	header := append([]string{""}, samples...)
	row(&b, append(header, "losses of 0")...)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(samples)+1) + "\n")
	for _, p := range r.Peers {
		cells := []string{p.Name}
		zero := ""
		for _, s := range samples {
			for _, e := range r.Errors {
				if e.Peer == p.Name && e.Sample == s {
					cells = append(cells, fmt.Sprintf("%s / %s", e.Dominant, e.Others))
					if s == dominantSample {
						zero = fmt.Sprintf("%d of %d", e.Zero, e.Rows)
					}
				}
			}
		}
		if len(cells) > 1 {
			row(&b, append(cells, zero)...)
		}
	}
	b.WriteString("\n" + hardTable(r))
	fmt.Fprintf(&b, "\n![Error of the loss of a confident row by how far its largest logit is ahead: at most %s ulp in this package](%s)\n",
		largestGapError(r), accuracyPicture)
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
	b.WriteString("Rows that are easy to get wrong: ✓, or the first element that is wrong and what it should be. " +
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
