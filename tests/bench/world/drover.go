package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// drover asks `drover decide`.
type drover struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	line    []byte
	next    float64
	due     float64
	chance  chance
}

func newDrover(w *world, path string) (*drover, error) {
	d := &drover{command: exec.Command(path, "decide"), chance: newChance(w.seed, 6)}
	d.command.Stderr = os.Stderr
	var err error
	if d.in, err = d.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewReaderSize(out, 1<<16)
	if err := d.command.Start(); err != nil {
		return nil, err
	}
	policy := fmt.Sprintf(`"maxDelay":%g,"minReplicas":%d,"maxReplicas":%d`, w.Promise, w.Min, w.Max)
	if w.Concurrency > 1 {
		policy += fmt.Sprintf(`,"concurrency":%d`, w.Concurrency)
	}
	_, err = fmt.Fprintf(d.in, "{\"policy\":{%s},\"partitions\":%d}\n", policy, w.Partitions)
	return d, err
}

func (d *drover) act(w *world) (int, string) {
	if w.now < d.next {
		return w.replicas, ""
	}
	// A look is now and then half a second early or late.
	d.due += w.Tick
	d.next = d.due + step*float64(d.chance.IntN(3)-1)
	d.line = d.sample(w, d.line[:0])
	if _, err := d.in.Write(d.line); err != nil {
		fail(fmt.Errorf("drover decide takes no more samples: %w", err))
	}
	answer, err := d.out.ReadBytes('\n')
	if err != nil {
		fail(fmt.Errorf("drover decide does not answer: %w", err))
	}
	size, why, err := read(answer)
	if err != nil {
		fail(err)
	}
	return size, why
}

// read takes size and reasons from an answer.
func read(answer []byte) (int, string, error) {
	const key = `"replicas":`
	at := bytes.Index(answer, []byte(key))
	if at < 0 {
		return 0, "", fmt.Errorf("drover decide answered %q", answer)
	}
	digits := answer[at+len(key):]
	end := bytes.IndexAny(digits, ",}")
	size, err := strconv.Atoi(string(bytes.TrimSpace(digits[:end])))
	if err != nil {
		return 0, "", fmt.Errorf("drover decide answered %q", answer)
	}
	why := ""
	if at := bytes.Index(answer, []byte(`"why":`)); at >= 0 {
		why = string(bytes.TrimSpace(answer[at+6:]))
	}
	return size, why, nil
}

// sample is the line that tells of now. Pods that leave are no replicas any more, and are not in it.
func (d *drover) sample(w *world, b []byte) []byte {
	number := func(value float64) { b = strconv.AppendFloat(b, value, 'f', 3, 64) }
	whole := func(value int64) { b = strconv.AppendInt(b, value, 10) }
	b = append(b, `{"at":`...)
	number(w.now)
	b = append(b, `,"replicas":`...)
	whole(int64(w.replicas))
	b = append(b, `,"pods":[`...)
	some := false
	for _, p := range w.pods {
		if p.leaving {
			continue
		}
		if some {
			b = append(b, ',')
		}
		some = true
		b = append(b, `{"name":"`...)
		b = append(b, p.name...)
		b = append(b, `","createdAt":`...)
		number(p.created)
		b = append(b, `,"readyAt":`...)
		if p.joined {
			number(p.ready)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, `,"partitions":[`...)
		for at, of := range p.partitions {
			if at > 0 {
				b = append(b, ',')
			}
			whole(int64(of.number))
		}
		b = append(b, `],"busySeconds":`...)
		number(p.busy)
		b = append(b, `,"done":`...)
		whole(p.done)
		b = append(b, '}')
	}
	b = append(b, `],"partitions":[`...)
	for at, p := range w.partitions {
		if at > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"partition":`...)
		whole(int64(p.number))
		b = append(b, `,"end":`...)
		if w.Unknown > 0 && d.chance.Float64() < w.Unknown {
			b = append(b, "null"...)
		} else {
			whole(p.end)
		}
		b = append(b, `,"committed":`...)
		whole(p.committed)
		b = append(b, '}')
	}
	return append(b, "]}\n"...)
}

func (d *drover) end() error {
	if err := d.in.Close(); err != nil {
		return err
	}
	return d.command.Wait()
}
