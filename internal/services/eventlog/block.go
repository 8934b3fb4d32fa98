package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Entry is a line as it is kept.
type Entry struct {
	Number int64 // its place in the file
	At     int64 // when it happened, in milliseconds since 1970
	Lane   Lane
	// Failed says what [Event.Failed] did.
	Failed bool
	Raw    []byte
}

// Event reads the entry's line again: what is kept is the line, so that a better
// reader reads more out of old recordings, too. Its time is the entry's.
func (e Entry) Event() Event {
	v, _ := Parse(e.Raw) // it was read before
	v.Lane = e.Lane
	return v
}

// blockVersion is the form of packed blocks, their first byte.
const blockVersion = 1

// maxBlock bounds what a packed block may unpack to.
const maxBlock = 2*MaxLine + 1<<20

// Packer packs lines into blocks. It is used by one goroutine.
type Packer struct {
	z   *zstd.Encoder
	buf []byte
}

// NewPacker makes a packer.
func NewPacker() (*Packer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("make a packer: %w", err)
	}
	return &Packer{z: z}, nil
}

// Pack writes lines down in their order, compressed.
func (p *Packer) Pack(entries []Entry) []byte {
	b := p.buf[:0]
	var number, at int64
	for _, e := range entries {
		b = binary.AppendVarint(binary.AppendVarint(b, e.Number-number), e.At-at)
		number, at = e.Number, e.At
		kind := byte(e.Lane) << 1
		if e.Failed {
			kind |= 1
		}
		b = binary.AppendUvarint(append(b, kind), uint64(len(e.Raw)))
		b = append(b, e.Raw...)
	}
	if p.buf = b; cap(b) > 1<<20 {
		p.buf = nil // a long line's room is not kept
	}
	return p.z.EncodeAll(b, []byte{blockVersion})
}

// Unpacker reads packed blocks. It is used by one goroutine at a time.
type Unpacker struct{ z *zstd.Decoder }

// NewUnpacker makes an unpacker.
func NewUnpacker() (*Unpacker, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make an unpacker: %w", err)
	}
	return &Unpacker{z: z}, nil
}

var errBlock = errors.New("it is no block of lines")

// Unpack reads a block's lines. They are good for as long as they are kept.
func (u *Unpacker) Unpack(block []byte) ([]Entry, error) {
	if len(block) == 0 || block[0] != blockVersion {
		return nil, errBlock
	}
	b, err := u.z.DecodeAll(block[1:], nil)
	if err != nil {
		return nil, fmt.Errorf("unpack a block: %w", err)
	}
	var out []Entry
	var number, at int64
	for len(b) > 0 {
		dn, n := binary.Varint(b)
		if n <= 0 {
			return nil, errBlock
		}
		da, m := binary.Varint(b[n:])
		if m <= 0 || len(b) == n+m {
			return nil, errBlock
		}
		kind := b[n+m]
		size, k := binary.Uvarint(b[n+m+1:])
		if b = b[min(len(b), n+m+1+max(k, 0)):]; k <= 0 || size > uint64(len(b)) {
			return nil, errBlock
		}
		number, at = number+dn, at+da
		out = append(out, Entry{Number: number, At: at, Lane: Lane(kind >> 1), Failed: kind&1 == 1, Raw: slices.Clip(b[:size])})
		b = b[size:]
	}
	return out, nil
}

// Span is what a map of a recording tells of one block of it.
type Span struct {
	First, Last int64 // the earliest and the latest time in it, in milliseconds
	Lanes       [Lanes]int
	Failed      int
}

// Events is how many there are in the block.
func (s Span) Events() int {
	sum := 0
	for _, n := range s.Lanes {
		sum += n
	}
	return sum
}

// Add counts an entry.
func (s *Span) Add(e Entry) {
	if s.Events() == 0 {
		s.First, s.Last = e.At, e.At
	}
	s.First, s.Last = min(s.First, e.At), max(s.Last, e.At)
	s.Lanes[e.Lane%Lanes]++
	if e.Failed {
		s.Failed++
	}
}

// PackMap writes the map of a recording down.
func PackMap(spans []Span) []byte {
	b := []byte{blockVersion}
	var at int64
	for _, s := range spans {
		b = binary.AppendVarint(b, s.First-at)
		b = binary.AppendUvarint(b, uint64(s.Last-s.First))
		b = binary.AppendUvarint(b, uint64(s.Failed))
		for _, n := range s.Lanes {
			b = binary.AppendUvarint(b, uint64(n))
		}
		at = s.First
	}
	return b
}

// UnpackMap reads the map of a recording.
func UnpackMap(b []byte) ([]Span, error) {
	if len(b) == 0 || b[0] != blockVersion {
		return nil, errBlock
	}
	r := varints{b: b[1:]}
	var out []Span
	var at int64
	for len(r.b) > 0 && !r.wrong {
		var s Span
		at += r.signed()
		s.First, s.Last = at, at+int64(r.next())
		s.Failed = int(r.next())
		for i := range s.Lanes {
			s.Lanes[i] = int(r.next())
		}
		out = append(out, s)
	}
	if r.wrong {
		return nil, errBlock
	}
	return out, nil
}

// Call is a network call of a recording: a request and its answer.
type Call struct {
	// Asked and Answered are the places of the two events in the recording; -1 for
	// one that is not there.
	Asked, Answered int64
	At              int64 // when it was asked, or else answered, in milliseconds
	Took            int64 // in milliseconds, -1 if it is not known
	Size            int64 // of the answer in bytes, -1 if it is not known
	Status          int   // 0 if it is not known
	Text            int   // the number of its endpoint among the recording's texts, -1 if it is not kept
}

// PackCalls writes calls down.
func PackCalls(calls []Call) []byte {
	b := []byte{blockVersion}
	var asked, at int64
	for _, c := range calls {
		for _, n := range []int64{c.Asked - asked, c.Answered - c.Asked, c.At - at, c.Took, c.Size, int64(c.Status), int64(c.Text)} {
			b = binary.AppendVarint(b, n)
		}
		asked, at = c.Asked, c.At
	}
	return b
}

// UnpackCalls reads calls.
func UnpackCalls(b []byte) ([]Call, error) {
	if len(b) == 0 || b[0] != blockVersion {
		return nil, errBlock
	}
	r := varints{b: b[1:]}
	var out []Call
	var asked, at int64
	for len(r.b) > 0 && !r.wrong {
		asked += r.signed()
		c := Call{Asked: asked, Answered: asked + r.signed()}
		at += r.signed()
		c.At, c.Took, c.Size, c.Status, c.Text = at, r.signed(), r.signed(), int(r.signed()), int(r.signed())
		out = append(out, c)
	}
	if r.wrong {
		return nil, errBlock
	}
	return out, nil
}

// varints reads numbers; once wrong, all that follow are 0.
type varints struct {
	b     []byte
	wrong bool
}

func (r *varints) take(n int) {
	if n <= 0 {
		r.b, r.wrong = nil, true
		return
	}
	r.b = r.b[n:]
}

func (r *varints) next() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(n)
	return v
}

func (r *varints) signed() int64 {
	v, n := binary.Varint(r.b)
	r.take(n)
	return v
}
