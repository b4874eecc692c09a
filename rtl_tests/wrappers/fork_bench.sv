// A fork whose branches are stalled each in its own pattern, and put together again.
module fork_bench #(
  parameter int Width    = 8,
  parameter int Branches = 2,
  parameter logic [32*Branches-1:0] Depths = '0,
  parameter logic [16*Branches-1:0] Willing = '1  // by cycle modulo 16
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      valid_i,
  output logic                      ready_o,
  input  logic [Width-1:0]          data_i,
  output logic                      valid_o,
  input  logic                      ready_i,
  output logic [Branches*Width-1:0] data_o
);
  logic [Branches-1:0] valid, ready, there;
  logic [Branches*Width-1:0] data;
  logic [3:0] cycle_q;

  always_ff @(posedge clk_i) cycle_q <= rst_ni ? cycle_q + 4'd1 : 4'd0;

  hwbnn_fork #(.Width(Width), .Branches(Branches), .Depths(Depths)) u_fork (
    .clk_i, .rst_ni, .valid_i, .ready_o, .data_i, .valid_o(valid), .ready_i(ready), .data_o(data)
  );

  for (genvar b = 0; b < Branches; b++) begin : gen_branch
    logic willing, has_room;

    assign willing = Willing[16*b + cycle_q];
    assign ready[b] = willing && has_room;
    hwbnn_stream_fifo #(.Width(Width), .Depth(2)) u_fifo (
      .clk_i, .rst_ni, .valid_i(valid[b] && willing), .ready_o(has_room),
      .data_i(data[b*Width +: Width]), .valid_o(there[b]), .ready_i(ready_i && valid_o),
      .data_o(data_o[b*Width +: Width])
    );
  end

  assign valid_o = &there;
endmodule
