package lab

// Column is a way of reading, and a column of the table.
type Column string

// The ways of reading that are measured.
const (
	Delete Column = "pop3-delete" // POP3 that deletes what it has fetched
	Keep   Column = "pop3-keep"   // POP3 that leaves mail on the server
	IMAP   Column = "imap"
	Web    Column = "web"
	// Mixed is POP3 and IMAP on the same mailbox: a lane, but no column.
	Mixed Column = "mixed"
)

// Columns are those of the table.
var Columns = []Column{Delete, Keep, IMAP, Web}

var columnWords = map[Column]Words{
	Delete: {"POP3 (delete)", "POP3(削除)"},
	Keep:   {"POP3 (keep)", "POP3(残す)"},
	IMAP:   {"IMAP", "IMAP"},
	Web:    {"Webmail", "Webメール"},
	Mixed:  {"POP3 + IMAP", "POP3 + IMAP"},
}

// In is the column's heading.
func (c Column) In(l Lang) string { return columnWords[c].In(l) }

// role is the account that a lane uses.
func (c Column) role() string {
	switch c {
	case Delete:
		return "pop"
	case Keep:
		return "keep"
	}
	return string(c)
}

// Axis is a question by which ways of reading differ, and a row of the table.
type Axis string

// The axes, in the order of the table. They are those by which providers
// explain the difference to their customers.
const (
	AxisKept       Axis = "kept"
	AxisDevices    Axis = "devices"
	AxisRead       Axis = "read"
	AxisSent       Axis = "sent"
	AxisFolders    Axis = "folders"
	AxisSpace      Axis = "space"
	AxisOffline    Axis = "offline"
	AxisLost       Axis = "lost"
	AxisSetUp      Axis = "set-up"
	AxisTraffic    Axis = "traffic"
	AxisAttachment Axis = "attachment"
)

var axes = []struct {
	axis Axis
	name Words
}{
	{AxisKept, Words{"Kept where (PC / server)", "保存場所(PC / サーバー)"}},
	{AxisDevices, Words{"Seen on the second device", "2台目の端末で見える"}},
	{AxisRead, Words{"Read state shared", "既読の同期"}},
	{AxisSent, Words{"Sent mail, second device", "送信済み(2台目で見える)"}},
	{AxisFolders, Words{"Folders, second device", "フォルダー(2台目で見える)"}},
	{AxisSpace, Words{"Server space afterwards", "サーバーの使用容量"}},
	{AxisOffline, Words{"Readable offline", "オフラインで読める"}},
	{AxisLost, Words{"Left if the PC is lost", "端末の紛失後に残る"}},
	{AxisSetUp, Words{"Settings on each device", "端末ごとの設定項目"}},
	{AxisTraffic, Words{"Bytes / round trips", "通信量 / 往復"}},
	{AxisAttachment, Words{"The same, 5 MB attached", "同上(5 MB添付)"}},
}

// Axes are all questions, in the order of the table.
func Axes() []Axis {
	all := make([]Axis, len(axes))
	for i, a := range axes {
		all[i] = a.axis
	}
	return all
}

// In is the question.
func (a Axis) In(l Lang) string {
	for _, other := range axes {
		if other.axis == a {
			return other.name.In(l)
		}
	}
	return ""
}

// Unmeasured is what stands in a cell until something has been measured.
func Unmeasured(l Lang) string { return wordUnknown.In(l) }
