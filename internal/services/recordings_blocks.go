package services

import (
	"context"

	"sightline/internal/db"
	"sightline/internal/services/eventlog"
)

const (
	// partBytes and partBlocks bound what one transaction stores of recordings: some
	// milliseconds' work, which is what a member's own write waits for.
	partBytes, partBlocks = 256 << 10, 24
	// blocksAhead is how many blocks wait to be packed.
	blocksAhead = 4
)

// blockWriter packs and stores blocks of recordings, beside who makes them.
type blockWriter struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	org    db.Org
	file   ExportFileID
	packer *eventlog.Packer
	in     chan block
	done   chan struct{}

	parts []db.RecordingPart
	bytes int
}

// block is what is to be stored: lines, or a packed row of calls.
type block struct {
	rec     *recorder
	number  int
	entries []eventlog.Entry
	calls   []byte
}

func newBlockWriter(ctx context.Context, cancel context.CancelCauseFunc, o db.Org, file ExportFileID) (*blockWriter, error) {
	p, err := eventlog.NewPacker()
	if err != nil {
		return nil, err
	}
	w := &blockWriter{ctx: ctx, cancel: cancel, org: o, file: file, packer: p, in: make(chan block, blocksAhead), done: make(chan struct{})}
	go w.run()
	return w, nil
}

// put hands a block over. After a failure nothing more is stored.
func (w *blockWriter) put(b block) {
	select {
	case w.in <- b:
	case <-w.ctx.Done():
	}
}

// close waits until everything is stored, or has failed. Then every recording of
// which there was a block has its row.
func (w *blockWriter) close() {
	close(w.in)
	<-w.done
}

func (w *blockWriter) run() {
	defer close(w.done)
	for b := range w.in {
		if w.ctx.Err() != nil {
			continue
		}
		if err := w.take(b); err != nil {
			w.cancel(err)
		}
	}
	if w.ctx.Err() == nil {
		if err := w.flush(); err != nil {
			w.cancel(err)
		}
	}
}

func (w *blockWriter) take(b block) error {
	if b.rec.id == 0 {
		id, err := w.org.AddRecording(w.ctx, w.file, b.rec.key.recording, b.rec.key.session)
		if err != nil {
			return err
		}
		b.rec.id = id
	}
	p := db.RecordingPart{Recording: b.rec.id}
	if b.entries != nil {
		p.Block, p.Blocks = b.number, [][]byte{w.packer.Pack(b.entries)}
		w.bytes += len(p.Blocks[0])
	} else {
		p.Call, p.Calls = b.number, [][]byte{b.calls}
		w.bytes += len(b.calls)
	}
	w.parts = append(w.parts, p)
	if w.bytes < partBytes && len(w.parts) < partBlocks {
		return nil
	}
	return w.flush()
}

func (w *blockWriter) flush() error {
	if len(w.parts) == 0 {
		return nil
	}
	err := w.org.PutRecordingParts(w.ctx, w.parts)
	w.parts, w.bytes = w.parts[:0], 0
	return err
}
