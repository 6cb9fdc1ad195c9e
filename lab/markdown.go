package lab

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

var (
	mdTitle    = Words{"Ways of reading mail, measured", "メールの受け取り方の測定結果"}
	mdIntro    = Words{"Measured by yubin on %s in %.1f s, with real clients on one machine. Each figure names the lines below that prove it.", "%s に、1台のコンピューターの中で本物のクライアントを動かして測定しました(所要時間 %.1f 秒)。各数値に、根拠となる通信ログの行を添えています。"}
	mdLatency  = Words{"%d ms were added to each round trip.", "往復ごとに%d msの遅延を加えています。"}
	mdResults  = Words{"Scenario by scenario", "シナリオごとの結果"}
	mdFact     = Words{"Question", "測ったこと"}
	mdWay      = Words{"Way", "方式"}
	mdResult   = Words{"Result", "結果"}
	mdEvidence = Words{"Evidence", "根拠"}
	mdWire     = Words{"Conversations", "通信ログ"}
	mdTraffic  = Words{"%s sent, %s received, %d round trips", "送信 %s・受信 %s・%d往復"}
	mdTabled   = Words{"measured just now", "測定結果"}
)

// WriteMarkdown writes the table, all results and all conversations.
func (r *Report) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	l := r.Lang
	fmt.Fprintf(b, "# %s\n\n%s\n\n", mdTitle.In(l), mdIntro.In(l, r.Started.Format("2006-01-02 15:04"), r.Seconds))
	heads := []string{mdTabled.In(l)}
	for _, c := range r.server.offers(Columns) {
		heads = append(heads, c.In(l))
	}
	markdownRow(b, heads...)
	markdownRow(b, strings.Split(strings.Repeat("---|", len(heads)-1)+"---", "|")...)
	for _, row := range r.Table {
		cells := []string{row.Name}
		for _, c := range row.Cells {
			text := c.Shown
			if c.Result != nil {
				text += cross(c.Result) + " <sub>" + linked(c.Result.Evidence) + "</sub>"
			}
			cells = append(cells, text)
		}
		markdownRow(b, cells...)
	}
	fmt.Fprintf(b, "\n## %s\n", mdResults.In(l))
	for _, s := range r.Scenarios {
		fmt.Fprintf(b, "\n### %s\n\n", s.Title)
		if s.Latency > 0 {
			fmt.Fprintf(b, "%s\n\n", mdLatency.In(l, s.Latency))
		}
		for i, step := range s.Steps {
			fmt.Fprintf(b, "%d. %s\n", i+1, step)
		}
		fmt.Fprintln(b)
		markdownRow(b, mdFact.In(l), mdWay.In(l), mdResult.In(l), mdEvidence.In(l))
		markdownRow(b, "---", "---", "---", "---")
		for _, x := range s.Results {
			markdownRow(b, x.Text, x.Column.In(l), x.Shown+cross(&x), linked(x.Evidence))
		}
	}
	fmt.Fprintf(b, "\n## %s\n", mdWire.In(l))
	for _, c := range r.Conversations {
		fmt.Fprintf(b, "\n### c%d\n\n%s · %s · %s · %s\n\n```\n", c.ID, c.Who, strings.ToUpper(c.Proto), c.Column.In(l),
			mdTraffic.In(l, size(c.ClientOctets), size(c.ServerOctets), c.Trips))
		for i, line := range c.Lines {
			fmt.Fprintf(b, "%3d %s\n", i+1, strings.ReplaceAll(line.Text, "\n", "\n    "))
		}
		fmt.Fprintln(b, "```")
	}
	return b.Flush()
}

func markdownRow(w io.Writer, cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// cross is what stands behind a result that contradicts its lesson.
func cross(r *Result) string {
	if r.Lesson == Contradicted {
		return " ✖"
	}
	return ""
}

// linked is the evidence, each piece a link to its conversation.
func linked(refs []Ref) string {
	words := make([]string, len(refs))
	for i, r := range refs {
		words[i] = fmt.Sprintf("[%s](#c%d)", r, r.Conversation)
	}
	return strings.Join(words, " ")
}
