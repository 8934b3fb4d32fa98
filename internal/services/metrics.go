package services

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	rt "runtime/metrics"
	"strconv"
	"strings"

	"sightline/internal/services/metrics"
)

// WriteMetrics writes what an operator watches, as Prometheus reads it: what
// was counted since the start, and how things stand. Connections are told by
// their number alone.
func (s *Services) WriteMetrics(ctx context.Context, w io.Writer, version string) error {
	figures := []metrics.Figure{{
		Name: "sightline_build_info", Help: "The version of Sightline that runs, and of the Go that it was built with.",
		Labels: []string{"version", "goversion"}, Values: []metrics.Value{{Of: []string{version, runtime.Version()}, Value: 1}},
	}}
	budgets, err := s.budgetFigures(ctx)
	if err != nil {
		return err
	}
	figures = append(figures, budgets...)
	depths, err := s.db.QueueDepthsUnscoped(ctx)
	if err != nil {
		return err
	}
	queue := metrics.Figure{Name: "sightline_queue_jobs", Help: "Jobs that are not done, by kind and state.", Labels: []string{"kind", "state"}}
	for _, d := range depths {
		queue.Values = append(queue.Values, metrics.Value{Of: []string{d.Kind, d.State}, Value: float64(d.Jobs)})
	}
	file, log := s.db.FileSizes()
	figures = append(figures, queue,
		plainFigure("sightline_database_bytes", "Size of the database.", false, float64(file)),
		plainFigure("sightline_database_wal_bytes", "Size of the database's write-ahead log.", false, float64(log)),
		plainFigure("sightline_data_changes_total", "Commits that changed what pages show.", true, float64(s.db.Generation())))
	figures = append(figures, plainFigure("process_start_time_seconds", "When the process began, in seconds since 1970.", false, float64(s.began.UnixMilli())/1000))
	return s.Metrics.Write(w, append(figures, processFigures()...))
}

// budgetFigures are what is left of the days of all connections whose calls
// are counted.
func (s *Services) budgetFigures(ctx context.Context) ([]metrics.Figure, error) {
	labels := []string{"connection", "vendor"}
	allowed := metrics.Figure{Name: "sightline_budget_calls_allowed", Help: "Calls that a connection may make today (UTC).", Labels: labels}
	left := metrics.Figure{Name: "sightline_budget_calls_left", Help: "Calls that are left of them; 0 while the vendor takes none.", Labels: labels}
	orgs, err := s.db.OrgsUnscoped(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range orgs {
		budgets, err := s.Connections.Budgets(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		for _, b := range budgets {
			if b.Allowance == 0 {
				continue
			}
			of := []string{strconv.FormatInt(int64(b.Connection), 10), string(b.Vendor)}
			allowed.Values = append(allowed.Values, metrics.Value{Of: of, Value: float64(b.Allowance)})
			left.Values = append(left.Values, metrics.Value{Of: of, Value: float64(b.Left)})
		}
	}
	return []metrics.Figure{allowed, left}, nil
}

func plainFigure(name, help string, grows bool, v float64) metrics.Figure {
	return metrics.Figure{Name: name, Help: help, Grows: grows, Values: []metrics.Value{{Value: v}}}
}

// processFigures are those of the process and of Go, under the names that
// Prometheus' own libraries give them. What the system does not tell is left
// out.
func processFigures() []metrics.Figure {
	samples := []rt.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	rt.Read(samples)
	out := []metrics.Figure{
		plainFigure("go_goroutines", "Number of goroutines.", false, float64(runtime.NumGoroutine())),
		plainFigure("go_memstats_heap_alloc_bytes", "Bytes of objects on the heap, with those that are garbage already.", false, float64(samples[0].Value.Uint64())),
		plainFigure("go_memstats_sys_bytes", "Bytes that Go has from the system.", false, float64(samples[1].Value.Uint64())),
		plainFigure("go_gc_cycles_total_gc_cycles_total", "Garbage collections.", true, float64(samples[2].Value.Uint64())),
	}
	// The fields behind the name in brackets, which may hold anything: the 12th
	// and 13th are the time used, in hundredths of a second, the 22nd the resident
	// pages. See proc(5).
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return out
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 22 {
		return out
	}
	at := func(i int) float64 { n, _ := strconv.ParseFloat(f[i-1], 64); return n }
	out = append(out,
		plainFigure("process_cpu_seconds_total", "Time that the process has used the processor.", true, (at(12)+at(13))/100),
		plainFigure("process_resident_memory_bytes", "Memory that the process has in use.", false, at(22)*float64(os.Getpagesize())))
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		out = append(out, plainFigure("process_open_fds", "Open files and connections.", false, float64(len(files))))
	}
	return out
}
