package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"featmesh.test/push/h2"
	"featmesh.test/push/wire"
)

const maxProbes = 100_000

// ProbeOptions say which unary calls are made beside the streams.
type ProbeOptions struct {
	Target string  `json:"target"`
	Key    string  `json:"key"`
	User   string  `json:"user"`
	Flag   string  `json:"flag"`
	Rate   float64 `json:"rate"`    // calls a second
	AtMost float64 `json:"at_most"` // seconds
}

// ProbeReport is how they went. Latency counts from when a call was due, so that a server
// (or generator) that stalls cannot hide the calls that it held up.
type ProbeReport struct {
	Sent     int            `json:"sent"`
	Failed   int            `json:"failed"`
	Statuses map[string]int `json:"statuses"`
	Latency  Spread         `json:"latency"`
	Lateness Spread         `json:"lateness"` // the generator's own: from due to written
}

// probe is Evaluate calls at a fixed rate on a connection of its own.
type probe struct {
	options ProbeOptions
	conn    *h2.Conn
	stop    chan struct{}
	done    chan struct{}
	open    sync.WaitGroup

	mu       sync.Mutex
	report   ProbeReport
	latency  []int64
	lateness []int64
}

func startProbe(options ProbeOptions) (*probe, error) {
	if options.Rate <= 0 || options.Rate*options.AtMost > maxProbes {
		return nil, fmt.Errorf("rate × at_most: %g × %g; at most %d", options.Rate, options.AtMost, maxProbes)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialSeconds*time.Second)
	defer cancel()
	conn, err := h2.Dial(ctx, "", options.Target, h2.Windows{Stream: 65_535, Connection: defaultRoom})
	if err != nil {
		return nil, err
	}
	p := &probe{
		options: options, conn: conn, stop: make(chan struct{}), done: make(chan struct{}),
		report: ProbeReport{Statuses: map[string]int{}},
	}
	go conn.Run()
	go p.run()
	return p, nil
}

func (p *probe) run() {
	defer close(p.done)
	headers := h2.Headers(p.options.Target, wire.Evaluate, p.options.Key)
	request := wire.EvaluateRequest(p.options.User, p.options.Flag)
	period := time.Duration(float64(time.Second) / p.options.Rate)
	due := time.Now()
	for range int(p.options.Rate * p.options.AtMost) {
		due = due.Add(period)
		select {
		case <-p.stop:
			return
		case <-time.After(time.Until(due)):
		}
		p.open.Add(1)
		if err := p.conn.Open(headers, request, &probed{p, due}); err != nil {
			p.open.Done()
			p.note(fmt.Sprint(err), due)
			return
		}
		p.mu.Lock()
		p.report.Sent++
		p.lateness = append(p.lateness, int64(time.Since(due)))
		p.mu.Unlock()
	}
}

// finish stops, waits for what is under way and reports.
func (p *probe) finish(patience time.Duration) ProbeReport {
	close(p.stop)
	<-p.done
	answered := make(chan struct{})
	go func() { p.open.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(patience):
	}
	p.conn.Close() // what is still open ends with an error, and is counted
	<-answered
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Latency, p.report.Lateness = SpreadOf(p.latency), SpreadOf(p.lateness)
	return p.report
}

func (p *probe) note(status string, due time.Time) {
	took := int64(time.Since(due))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = append(p.latency, took)
	if status != "" {
		p.report.Failed++
		if len(p.report.Statuses) < maxStatuses {
			p.report.Statuses[status]++
		}
	}
}

// probed is one call.
type probed struct {
	probe *probe
	due   time.Time
}

func (c *probed) Message([]byte, int, int64) bool { return true }

func (c *probed) Ended(status string) {
	c.probe.note(status, c.due)
	c.probe.open.Done()
}
