// SPDX-License-Identifier: Apache-2.0
// A table for each element: y = table[(x - Low) >> Shift]. Runs free.
//
// Latency: 1 cycle.

module hwbnn_lookup #(
  parameter int Lanes    = 1,
  parameter int Tokens   = 1,  // tokens of a frame
  parameter int Width    = 3,  // bits of an element
  parameter int Low      = 0,  // the element that reads entry 0
  parameter int Shift    = 0,
  parameter int Entries  = 8,  // of one element's table
  parameter int OutWidth = 4,  // bits of an entry
  parameter logic [Tokens*Lanes*Entries*OutWidth-1:0] Table = '0  // lane by lane, token by token
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,

  input  logic                      valid_i,
  input  logic [Lanes*Width-1:0]    data_i,

  output logic                      valid_o,
  output logic [Lanes*OutWidth-1:0] data_o
);
  localparam int Depth = Tokens * Entries;
  localparam int IndexWidth = Depth > 1 ? $clog2(Depth) : 1;
  // Differences are taken modulo 2^Width, which holds all of them whatever the sign.
  localparam logic [31:0] LowBits = Low;

  logic [IndexWidth-1:0] first;  // entry of this token's tables

  if (Tokens == 1) begin : gen_single
    assign first = '0;
  end else begin : gen_count
    logic [IndexWidth-1:0] first_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) first_q <= '0;
      else if (valid_i) begin
        first_q <= first_q == IndexWidth'(Depth - Entries) ? '0 : first_q + IndexWidth'(Entries);
      end
    end

    assign first = first_q;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    localparam logic [Depth*OutWidth-1:0] LaneTable = Table[l*Depth*OutWidth +: Depth*OutWidth];

    logic [OutWidth-1:0] entries [0:Depth-1];
    logic [Width-1:0] difference;
    logic [OutWidth-1:0] entry_q;

    initial begin
      for (int i = 0; i < Depth; i++) entries[i] = LaneTable[i*OutWidth +: OutWidth];
    end

    assign difference = data_i[l*Width +: Width] - LowBits[Width-1:0];

    always_ff @(posedge clk_i) entry_q <= entries[first + IndexWidth'(difference >> Shift)];

    assign data_o[l*OutWidth +: OutWidth] = entry_q;
  end

  hwbnn_valid_line #(
    .Stages(1)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o
  );
endmodule
