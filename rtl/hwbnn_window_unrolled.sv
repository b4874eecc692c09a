// SPDX-License-Identifier: Apache-2.0
// The windows of a kernel that slides over an image, each as one token of all its taps: row by row,
// with the first pixel of the first row in the lowest bits. An image comes pixel by pixel, row by
// row. The module walks over the image and the places around it that windows reach, one place a
// cycle. The pixels above the current one are kept in a memory with one word a column, those left
// of it in registers. A place outside the image has the value Pad.
//
// Initiation interval: the number of places, rows times columns; without padding these are the
// places of the image. Latency: 2 cycles from the window's last pixel.

module hwbnn_window_unrolled #(
  parameter int Width         = 8,  // bits of a pixel
  parameter int Rows          = 4,
  parameter int Columns       = 4,
  parameter int KernelRows    = 3,
  parameter int KernelColumns = 3,
  parameter int StrideRows    = 1,
  parameter int StrideColumns = 1,
  parameter int Top           = 0,  // rows outside, above the image
  parameter int Left          = 0,
  parameter int OutRows       = 2,
  parameter int OutColumns    = 2,
  parameter logic [Width-1:0] Pad = '0
) (
  input  logic                                      clk_i,
  input  logic                                      rst_ni,

  input  logic                                      valid_i,
  output logic                                      ready_o,
  input  logic [Width-1:0]                          data_i,

  output logic                                      valid_o,
  input  logic                                      ready_i,
  output logic [KernelRows*KernelColumns*Width-1:0] data_o
);
  localparam int ReachRows = (OutRows - 1) * StrideRows + KernelRows;
  localparam int ReachColumns = (OutColumns - 1) * StrideColumns + KernelColumns;
  localparam int GridRows = ReachRows > Top + Rows ? ReachRows : Top + Rows;
  localparam int GridColumns = ReachColumns > Left + Columns ? ReachColumns : Left + Columns;
  localparam int RowWidth = $clog2(GridRows + 1) + 1;
  localparam int ColumnWidth = GridColumns > 1 ? $clog2(GridColumns) : 1;
  localparam int XWidth = $clog2(GridColumns + 1) + 1;
  localparam int AheadRows = KernelRows > StrideRows ? KernelRows : StrideRows;
  localparam int AheadColumns = KernelColumns > StrideColumns ? KernelColumns : StrideColumns;
  localparam int AheadRowWidth = AheadRows > 1 ? $clog2(AheadRows) : 1;
  localparam int AheadColumnWidth = AheadColumns > 1 ? $clog2(AheadColumns) : 1;

`ifndef __ICARUS__  // which has no elaboration tasks
  if (GridRows - ReachRows >= StrideRows || GridColumns - ReachColumns >= StrideColumns) begin : gen_error
    $error("hwbnn_window_unrolled: more windows fit than %0d x %0d", OutRows, OutColumns);
  end
`endif

  // ---- Walking the grid ----

  logic signed [RowWidth-1:0] row_q;  // of the image
  logic signed [XWidth-1:0] x_q;      // column of the image
  logic [ColumnWidth-1:0] column_q, column_next;  // of the grid
  logic [AheadRowWidth-1:0] ahead_row_q;           // rows until windows end in one
  logic [AheadColumnWidth-1:0] ahead_column_q;
  logic go, in_image, first_q, last_row, last_column, ends, valid_q, arrived;
  logic [Width-1:0] arriving, pixel;

  hwbnn_stream_fifo #(
    .Width(Width),
    .Depth(2)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .valid_i,
    .ready_o,
    .data_i,
    .valid_o(arrived),
    .ready_i(go && in_image),
    .data_o(arriving)
  );

  assign in_image = !row_q[RowWidth-1] && row_q < RowWidth'(Rows)
    && !x_q[XWidth-1] && x_q < XWidth'(Columns);
  // The walk begins when the first pixel has come.
  assign go = (!valid_q || ready_i) && (arrived || !(in_image || first_q));
  assign pixel = in_image ? arriving : Pad;
  assign last_row = row_q == RowWidth'(GridRows - Top - 1);
  assign last_column = column_q == ColumnWidth'(GridColumns - 1);
  assign column_next = last_column ? '0 : column_q + 1'b1;
  assign ends = ahead_row_q == '0 && ahead_column_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      row_q <= RowWidth'(-Top);
      x_q <= XWidth'(-Left);
      column_q <= '0;
      ahead_row_q <= AheadRowWidth'(KernelRows - 1);
      ahead_column_q <= AheadColumnWidth'(KernelColumns - 1);
      first_q <= 1'b1;
      valid_q <= 1'b0;
    end else begin
      valid_q <= (go && ends) || (valid_q && !ready_i);
      if (go) begin
        first_q <= last_row && last_column;
        column_q <= column_next;
        x_q <= last_column ? XWidth'(-Left) : x_q + XWidth'(1);
        if (last_column) ahead_column_q <= AheadColumnWidth'(KernelColumns - 1);
        else if (ahead_column_q == '0) ahead_column_q <= AheadColumnWidth'(StrideColumns - 1);
        else ahead_column_q <= ahead_column_q - 1'b1;
      end
      if (go && last_column) begin
        row_q <= last_row ? RowWidth'(-Top) : row_q + RowWidth'(1);
        if (last_row) ahead_row_q <= AheadRowWidth'(KernelRows - 1);
        else if (ahead_row_q == '0) ahead_row_q <= AheadRowWidth'(StrideRows - 1);
        else ahead_row_q <= ahead_row_q - 1'b1;
      end
    end
  end

  // ---- The pixels above, the uppermost lowest ----

  logic [KernelRows*Width-1:0] column;  // those of this column, the pixel at hand on top

  if (KernelRows == 1) begin : gen_row
    assign column = pixel;
  end else begin : gen_rows
    localparam int Kept = (KernelRows - 1) * Width;
    logic [Kept-1:0] above_q;

    assign column = {pixel, above_q};

    if (GridColumns == 1) begin : gen_column
      always_ff @(posedge clk_i) begin
        if (go) above_q <= column[KernelRows*Width-1:Width];
      end
    end else begin : gen_columns
      logic [Kept-1:0] lines_q [0:GridColumns-1];

      // The next column is read while this one is written.
      always_ff @(posedge clk_i) begin
        if (go) lines_q[column_q] <= column[KernelRows*Width-1:Width];
        if (go) above_q <= lines_q[column_next];
      end
    end
  end

  // ---- The columns to the left ----

  logic [KernelRows*KernelColumns*Width-1:0] window_q;

  for (genvar y = 0; y < KernelRows; y++) begin : gen_window_row
    for (genvar x = 0; x < KernelColumns; x++) begin : gen_tap
      localparam int Tap = y * KernelColumns + x;

      if (x == KernelColumns - 1) begin : gen_new
        always_ff @(posedge clk_i) begin
          if (go) window_q[Tap*Width +: Width] <= column[y*Width +: Width];
        end
      end else begin : gen_old
        always_ff @(posedge clk_i) begin
          if (go) window_q[Tap*Width +: Width] <= window_q[(Tap+1)*Width +: Width];
        end
      end
    end
  end

  assign valid_o = valid_q;
  assign data_o = window_q;
endmodule
