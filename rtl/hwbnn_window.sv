// SPDX-License-Identifier: Apache-2.0
// The windows of a kernel that slides over an image, one token of a tap a cycle, from a memory of
// the lines that the next window still needs. An image is Rows x Columns pixels of Chunks tokens
// each, row by row. For each of OutRows x OutColumns windows the taps are given row by row, in
// each the tokens of its pixel; with Outer > 1 the tokens of a pixel are Outer groups, and the
// whole window of one group is given after that of the other. A tap outside the image is Pad.
//
// The memory is a ring of Slots tokens. The origin of a window, its first tap, frees all that came
// before it; a token is taken while fewer than Slots lie between the origin and it. Places above
// and left of the image count as if they had been written, so that one rule holds for all windows.
// Where padding is wider than the kernel, the origin of the next row of windows, or of the next image,
// may lie before that of the current window. It then frees only what both have passed, so a slot that
// is free remains free until it is filled.
//
// The module cannot deadlock if Slots >= ((KernelRows - 1) * Columns + KernelColumns) * Chunks, the
// tokens from the first tap of a window to the last, and Slots > (Top * Columns + Left) * Chunks. Where
// origins go back, Slots must be larger by the tokens that they go back.
//
// Latency: 2 cycles from a token to the tap that it is, if it is the next one.

module hwbnn_window #(
  parameter int Width         = 8,  // bits of a token
  parameter int Rows          = 4,
  parameter int Columns       = 4,
  parameter int Chunks        = 1,  // tokens of a pixel
  parameter int Outer         = 1,  // divides Chunks
  parameter int KernelRows    = 3,
  parameter int KernelColumns = 3,
  parameter int StrideRows    = 1,
  parameter int StrideColumns = 1,
  parameter int Top           = 0,  // rows outside, above the image
  parameter int Left          = 0,
  parameter int OutRows       = 2,
  parameter int OutColumns    = 2,
  parameter int Slots         = 12,
  parameter bit Flag          = 1'b0,  // a bit above the token says that the tap is inside
  parameter logic [Width-1:0] Pad = '0
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,

  input  logic                  valid_i,
  output logic                  ready_o,
  input  logic [Width-1:0]      data_i,

  output logic                  valid_o,
  input  logic                  ready_i,
  output logic [Width+Flag-1:0] data_o
);
  localparam int Inner = Chunks / Outer;
  localparam int Line = Columns * Chunks;  // tokens of a row
  // Tokens from one tap to the next: in a group of chunks, to the next column, row, and group.
  localparam int ToColumn = Chunks - Inner + 1;
  localparam int ToRow = Line - (KernelColumns - 1) * Chunks - Inner + 1;
  localparam int ToGroup = 1 - (KernelRows - 1) * Line - (KernelColumns - 1) * Chunks;
  // Tokens from one origin to the next: to the right, to the next row of windows, to the next image.
  localparam int Across = (OutColumns - 1) * StrideColumns * Chunks;
  localparam int MoveRight = StrideColumns * Chunks;
  localparam int MoveDown = StrideRows * Line - Across;
  localparam int MoveOn = (Rows - (OutRows - 1) * StrideRows) * Line - Across;
  // Tokens that an origin goes back at most.
  localparam int RowBack = OutRows > 1 && MoveDown < 0 ? -MoveDown : 0;
  localparam int Back = -MoveOn > RowBack ? -MoveOn : RowBack;
  // Tokens from the first origin of a row of windows to that of the next, and from the last row's to
  // the next image's.
  localparam int RowMove = StrideRows * Line;
  localparam int LastRowMove = (Rows - (OutRows - 1) * StrideRows) * Line;
  localparam int Above = (Top * Columns + Left) * Chunks;  // places before the first pixel

  localparam int PointerWidth = Slots > 1 ? $clog2(Slots) : 1;
  localparam int RowWidth = $clog2(Top + Rows + OutRows * StrideRows + KernelRows) + 1;
  localparam int ColumnWidth = $clog2(Left + Columns + OutColumns * StrideColumns + KernelColumns) + 1;
  localparam int CountWidth = $clog2(Slots + Above + Line * (Rows + OutRows * StrideRows + KernelRows)
    + Chunks * (OutColumns * StrideColumns + KernelColumns)) + 2;
  localparam int InnerWidth = Inner > 1 ? $clog2(Inner) : 1;
  localparam int OuterWidth = Outer > 1 ? $clog2(Outer) : 1;
  localparam int TapRowWidth = KernelRows > 1 ? $clog2(KernelRows) : 1;
  localparam int TapColumnWidth = KernelColumns > 1 ? $clog2(KernelColumns) : 1;
  localparam int OutRowWidth = OutRows > 1 ? $clog2(OutRows) : 1;
  localparam int OutColumnWidth = OutColumns > 1 ? $clog2(OutColumns) : 1;

  typedef logic [PointerWidth-1:0] pointer_t;
  typedef logic signed [CountWidth-1:0] count_t;
  typedef logic signed [RowWidth-1:0] row_t;
  typedef logic signed [ColumnWidth-1:0] column_t;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (Chunks % Outer != 0) begin : gen_outer_error
    $error("hwbnn_window: Outer %0d does not divide Chunks %0d", Outer, Chunks);
  end
  if (Slots - Back < ((KernelRows - 1) * Columns + KernelColumns) * Chunks || Slots - Back <= Above)
  begin : gen_slots_error
    $error("hwbnn_window: Slots %0d do not hold a window", Slots);
  end
`endif

  // ---- Which tap comes next ----

  logic [InnerWidth-1:0] inner_q;
  logic [OuterWidth-1:0] outer_q;
  logic [TapRowWidth-1:0] tap_row_q;
  logic [TapColumnWidth-1:0] tap_column_q;
  logic [OutRowWidth-1:0] out_row_q;
  logic [OutColumnWidth-1:0] out_column_q;
  row_t row_q, top_q, top_d;           // of the tap, and of the window's first tap
  column_t column_q, left_q, left_d;
  logic last_inner, last_column, last_row, last_tap, last_right, last_down;
  logic go, done, push, in_image, first_q, outside_q, valid_q;

  assign last_inner = inner_q == InnerWidth'(Inner - 1);
  assign last_column = last_inner && tap_column_q == TapColumnWidth'(KernelColumns - 1);
  assign last_row = last_column && tap_row_q == TapRowWidth'(KernelRows - 1);
  assign last_tap = last_row && outer_q == OuterWidth'(Outer - 1);
  assign last_right = out_column_q == OutColumnWidth'(OutColumns - 1);
  assign last_down = out_row_q == OutRowWidth'(OutRows - 1);
  assign done = go && last_tap;

  always_comb begin
    top_d = top_q;
    left_d = left_q + column_t'(StrideColumns);
    if (last_right) begin
      top_d = last_down ? row_t'(-Top) : top_q + row_t'(StrideRows);
      left_d = column_t'(-Left);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      inner_q <= '0;
      outer_q <= '0;
      tap_row_q <= '0;
      tap_column_q <= '0;
      out_row_q <= '0;
      out_column_q <= '0;
      row_q <= row_t'(-Top);
      top_q <= row_t'(-Top);
      column_q <= column_t'(-Left);
      left_q <= column_t'(-Left);
      first_q <= 1'b1;
    end else if (go) begin
      first_q <= last_tap && last_right && last_down;
      inner_q <= last_inner ? '0 : inner_q + 1'b1;
      if (last_inner) begin
        tap_column_q <= last_column ? '0 : tap_column_q + 1'b1;
        column_q <= last_column ? left_q : column_q + column_t'(1);
      end
      if (last_column) begin
        tap_row_q <= last_row ? '0 : tap_row_q + 1'b1;
        row_q <= last_row ? top_q : row_q + row_t'(1);
      end
      if (last_row) outer_q <= last_tap ? '0 : outer_q + 1'b1;
      if (last_tap) begin
        out_column_q <= last_right ? '0 : out_column_q + 1'b1;
        if (last_right) out_row_q <= last_down ? '0 : out_row_q + 1'b1;
        top_q <= top_d;
        row_q <= top_d;
        left_q <= left_d;
        column_q <= left_d;
      end
    end
  end

  assign in_image = !row_q[RowWidth-1] && row_q < row_t'(Rows)
    && !column_q[ColumnWidth-1] && column_q < column_t'(Columns);

  // ---- Where it lies, and whether it has been written ----

  count_t fill_q, fill_d;    // tokens written from the window's origin on
  count_t ahead_q, ahead_d;  // tokens written from the tap on
  count_t step, move;
  pointer_t write_q, read_q, base_q, base_d, ring_step, ring_move;

  logic room;

  if (Back == 0) begin : gen_forward
    assign room = fill_q < count_t'(Slots);
  end else begin : gen_back
    count_t row_fill_q;    // tokens written from the first origin of the next row of windows on
    count_t image_fill_q;  // from the first origin of the next image on
    logic last_step;

    // The row behind the last is the next image's first.
    assign last_step = OutRows == 1 || out_row_q == OutRowWidth'(OutRows - 2);
    assign room = fill_q < count_t'(Slots) && row_fill_q < count_t'(Slots)
      && image_fill_q < count_t'(Slots);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        row_fill_q <= count_t'(Above - (OutRows == 1 ? LastRowMove : RowMove));
        image_fill_q <= count_t'(Above - Rows * Line);
      end else begin
        row_fill_q <= row_fill_q + (push ? count_t'(1) : count_t'(0))
          - (done && last_right ? (last_step ? count_t'(LastRowMove) : count_t'(RowMove)) : count_t'(0));
        image_fill_q <= image_fill_q + (push ? count_t'(1) : count_t'(0))
          - (done && last_right && last_down ? count_t'(Rows * Line) : count_t'(0));
      end
    end
  end

  assign ready_o = room;
  assign push = valid_i && ready_o;
  // No tap of an image is given before its first token has been taken.
  assign go = (!valid_q || ready_i)
    && (first_q ? fill_q > count_t'(Above) : !in_image || ahead_q > count_t'(0));

  // A distance of pointers: from 0 to Slots - 1.
  function automatic pointer_t ring(input int distance);
    ring = pointer_t'(((distance % Slots) + Slots) % Slots);
  endfunction

  function automatic pointer_t advanced(input pointer_t pointer, input pointer_t distance);
    logic [PointerWidth:0] sum;
    sum = {1'b0, pointer} + {1'b0, distance};
    if (sum >= (PointerWidth + 1)'(Slots)) sum = sum - (PointerWidth + 1)'(Slots);
    advanced = sum[PointerWidth-1:0];
  endfunction

  localparam pointer_t RingOne = ring(1), RingColumn = ring(ToColumn), RingRow = ring(ToRow);
  localparam pointer_t RingGroup = ring(ToGroup), RingRight = ring(MoveRight);
  localparam pointer_t RingDown = ring(MoveDown), RingOn = ring(MoveOn), RingFirst = ring(-Above);

  always_comb begin
    step = count_t'(1);
    ring_step = RingOne;
    if (last_row) begin
      step = count_t'(ToGroup);
      ring_step = RingGroup;
    end else if (last_column) begin
      step = count_t'(ToRow);
      ring_step = RingRow;
    end else if (last_inner) begin
      step = count_t'(ToColumn);
      ring_step = RingColumn;
    end
    move = count_t'(MoveRight);
    ring_move = RingRight;
    if (last_right) begin
      move = last_down ? count_t'(MoveOn) : count_t'(MoveDown);
      ring_move = last_down ? RingOn : RingDown;
    end
    base_d = advanced(base_q, ring_move);
    fill_d = fill_q + (push ? count_t'(1) : count_t'(0)) - (done ? move : count_t'(0));
    ahead_d = ahead_q + (push ? count_t'(1) : count_t'(0)) - (go ? step : count_t'(0));
    if (done) ahead_d = fill_d;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fill_q <= count_t'(Above);
      ahead_q <= count_t'(Above);
      write_q <= '0;
      read_q <= RingFirst;
      base_q <= RingFirst;
      valid_q <= 1'b0;
    end else begin
      fill_q <= fill_d;
      ahead_q <= ahead_d;
      if (push) write_q <= advanced(write_q, RingOne);
      if (go) read_q <= done ? base_d : advanced(read_q, ring_step);
      if (done) base_q <= base_d;
      valid_q <= go || (valid_q && !ready_i);
    end
  end

  // ---- The memory ----

  logic [Width-1:0] words_q [0:Slots-1];
  logic [Width-1:0] word_q;

  always_ff @(posedge clk_i) begin
    if (push) words_q[write_q] <= data_i;
    if (go) word_q <= words_q[read_q];
    if (go) outside_q <= !in_image;
  end

  assign valid_o = valid_q;
  if (Flag) begin : gen_flag
    assign data_o = {!outside_q, outside_q ? Pad : word_q};
  end else begin : gen_plain
    assign data_o = outside_q ? Pad : word_q;
  end
endmodule
