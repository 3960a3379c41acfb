package load

import (
	"maps"
	"slices"
	"time"
)

const lookEvery = 5 * time.Millisecond

// Change is what streams of one key (-1: of all) had to receive, and when it began.
type Change struct {
	Key      int   `json:"key"`
	Revision int64 `json:"revision"`
	At       int64 `json:"at"` // nanoseconds of CLOCK_REALTIME
}

// Arrival is how one change reached its streams.
type Arrival struct {
	Revision int64 `json:"revision"`
	Streams  int   `json:"streams"`
	Missing  int   `json:"missing"`
	First    int64 `json:"first"` // nanoseconds of CLOCK_REALTIME
	Last     int64 `json:"last"`
	// When it was written to the first stream, and to the last.
	FirstWrite int64 `json:"first_write"`
	LastWrite  int64 `json:"last_write"`
}

// Spread is a distribution in nanoseconds.
type Spread struct {
	Count int   `json:"count"`
	Min   int64 `json:"min"`
	P50   int64 `json:"p50"`
	P99   int64 `json:"p99"`
	Max   int64 `json:"max"`
}

// Report is what a group has received since its mark.
type Report struct {
	Streams  int            `json:"streams"`
	Current  int64          `json:"current"`
	Failed   int            `json:"failed"`
	Refused  int            `json:"refused"`
	Statuses map[string]int `json:"statuses"`
	Counts   Counts         `json:"counts"`
	Opening  Spread         `json:"opening"` // from the group's begin to each stream's first change set
	Arrivals []Arrival      `json:"arrivals"`
	Delays   Spread         `json:"delays"` // from each change's begin to each of its streams
	Writes   Spread         `json:"writes"` // the same, but until it was written to the stream
}

func (g *group) report(changes []Change) Report {
	g.mu.Lock()
	report := Report{
		Streams: len(g.streams), Current: g.current.Load(), Failed: g.failed,
		Refused: g.refused, Statuses: maps.Clone(g.statuses),
	}
	g.mu.Unlock()
	var opening, delays, writes []int64
	for _, each := range g.streams {
		each.mu.Lock()
		report.Counts.add(each.counts)
		if each.currentAt != 0 {
			opening = append(opening, each.currentAt-g.began)
		}
		each.mu.Unlock()
	}
	for _, change := range changes {
		arrival, receipts := g.arrival(change)
		report.Arrivals = append(report.Arrivals, arrival)
		for _, each := range receipts {
			delays = append(delays, each.at-change.At)
			writes = append(writes, each.written-change.At)
		}
	}
	report.Opening = SpreadOf(opening)
	report.Delays, report.Writes = SpreadOf(delays), SpreadOf(writes)
	return report
}

func (g *group) arrival(change Change) (Arrival, []receipt) {
	arrival := Arrival{Revision: change.Revision}
	var receipts []receipt
	for _, each := range g.streams {
		if change.Key >= 0 && each.key() != change.Key {
			continue
		}
		arrival.Streams++
		got, has := each.reached(change.Revision)
		if !has {
			arrival.Missing++
			continue
		}
		if len(receipts) == 0 {
			arrival.First, arrival.FirstWrite = got.at, got.written
		}
		receipts = append(receipts, got)
		arrival.First, arrival.Last = min(arrival.First, got.at), max(arrival.Last, got.at)
		arrival.FirstWrite = min(arrival.FirstWrite, got.written)
		arrival.LastWrite = max(arrival.LastWrite, got.written)
	}
	return arrival, receipts
}

// waitFor returns when every stream holds what it must, or the time is over, with how many
// do not. A stream that has ended is not waited for.
func (g *group) waitFor(changes []Change, patience time.Duration) int {
	newest := map[int]int64{}
	for _, each := range changes {
		newest[each.Key] = max(newest[each.Key], each.Revision)
	}
	return g.waitUntil(patience, func(s *stream) bool {
		return s.holds(max(newest[s.key()], newest[-1]))
	})
}

// waitCurrent is the same for each stream's first change set.
func (g *group) waitCurrent(patience time.Duration) int {
	return g.waitUntil(patience, func(s *stream) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.currentAt != 0
	})
}

func (g *group) waitUntil(patience time.Duration, holds func(*stream) bool) int {
	deadline := time.Now().Add(patience)
	late := g.streams
	for {
		// Who holds it once holds it for good, so each look is only at the rest.
		late = slices.Clone(late)
		late = slices.DeleteFunc(late, holds)
		waiting := slices.ContainsFunc(late, (*stream).alive)
		if !waiting || time.Now().After(deadline) {
			return len(late)
		}
		time.Sleep(lookEvery)
	}
}

func (s *stream) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ended
}

// SpreadOf sorts the values; percentiles are by nearest rank.
func SpreadOf(values []int64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	slices.Sort(values)
	rank := func(percent int) int64 { return values[(len(values)*percent+99)/100-1] }
	return Spread{
		Count: len(values), Min: values[0], P50: rank(50), P99: rank(99), Max: values[len(values)-1],
	}
}
