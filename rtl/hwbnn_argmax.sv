// SPDX-License-Identifier: Apache-2.0
// The index of the largest element of a frame; the lowest index among equal ones. A tree compares
// the elements of a token; the best element so far is kept over the tokens of a frame. Gives one
// token a frame. Runs free.
//
// Latency: ceil($clog2(Lanes) / Levels) cycles, and 1 more for Tokens > 1, from the last token.

module hwbnn_argmax #(
  parameter int Size   = 4,     // elements of a frame
  parameter int Lanes  = 4,
  parameter int Width  = 3,     // bits of an element
  parameter bit Signed = 1'b0,  // elements are two's complement
  parameter int IndexWidth = 2,
  parameter int Levels = 2      // levels of comparators between two registers
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  logic                   valid_i,
  input  logic [Lanes*Width-1:0] data_i,

  output logic                   valid_o,
  output logic [IndexWidth-1:0]  data_o
);
  localparam int Tokens = (Size + Lanes - 1) / Lanes;
  localparam int LastLanes = Size - (Tokens - 1) * Lanes;
  localparam int Depth = $clog2(Lanes);
  localparam int CountWidth = Tokens > 1 ? $clog2(Tokens) : 1;
  // A key orders elements as an unsigned number: the sign inverted, and in front of it whether
  // the lane holds an element at all.
  localparam int KeyWidth = Width + 1;
  localparam logic [Width-1:0] Sign = Width'(Signed) << (Width - 1);

`ifndef __ICARUS__  // which has no elaboration tasks
  if (IndexWidth < $clog2(Size) || IndexWidth < 1) begin : gen_error
    $error("hwbnn_argmax: IndexWidth %0d does not hold an index below %0d", IndexWidth, Size);
  end
`endif

  logic [CountWidth-1:0] count_q;

  if (Tokens == 1) begin : gen_no_count
    assign count_q = '0;
  end else begin : gen_count
    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= '0;
      else if (valid_i) count_q <= count_q == CountWidth'(Tokens - 1) ? '0 : count_q + 1'b1;
    end
  end

  for (genvar d = 0; d <= Depth; d++) begin : gen_level
    localparam int Count = (Lanes + (1 << d) - 1) >> d;
    logic [Count*KeyWidth-1:0] keys;
    logic [Count*IndexWidth-1:0] indices;

    if (d == 0) begin : gen_leaves
      for (genvar i = 0; i < Count; i++) begin : gen_leaf
        logic [Width-1:0] x;
        logic used;

        assign x = data_i[i*Width +: Width];
        assign used = i < LastLanes ? 1'b1 : count_q != CountWidth'(Tokens - 1);
        assign keys[i*KeyWidth +: KeyWidth] = used ? {1'b1, x ^ Sign} : '0;
        assign indices[i*IndexWidth +: IndexWidth] = IndexWidth'(i);
      end
    end else begin : gen_comparators
      localparam int Below = (Lanes + (1 << (d - 1)) - 1) >> (d - 1);
      logic [Count*KeyWidth-1:0] keys_d;
      logic [Count*IndexWidth-1:0] indices_d;

      for (genvar i = 0; i < Count; i++) begin : gen_comparator
        logic [KeyWidth-1:0] left;
        logic [IndexWidth-1:0] left_index;

        assign left = gen_level[d-1].keys[2*i*KeyWidth +: KeyWidth];
        assign left_index = gen_level[d-1].indices[2*i*IndexWidth +: IndexWidth];

        if (2 * i + 1 < Below) begin : gen_pair
          logic [KeyWidth-1:0] right;
          logic [IndexWidth-1:0] right_index;

          assign right = gen_level[d-1].keys[(2*i+1)*KeyWidth +: KeyWidth];
          assign right_index = gen_level[d-1].indices[(2*i+1)*IndexWidth +: IndexWidth];
          assign keys_d[i*KeyWidth +: KeyWidth] = right > left ? right : left;
          assign indices_d[i*IndexWidth +: IndexWidth] = right > left ? right_index : left_index;
        end else begin : gen_single
          assign keys_d[i*KeyWidth +: KeyWidth] = left;
          assign indices_d[i*IndexWidth +: IndexWidth] = left_index;
        end
      end

      if (d % Levels == 0 || d == Depth) begin : gen_registers
        always_ff @(posedge clk_i) begin
          keys <= keys_d;
          indices <= indices_d;
        end
      end else begin : gen_wires
        assign keys = keys_d;
        assign indices = indices_d;
      end
    end
  end

  logic [KeyWidth-1:0] key;
  logic [IndexWidth-1:0] index;
  logic valid;

  assign key = gen_level[Depth].keys;
  assign index = gen_level[Depth].indices;

  hwbnn_valid_line #(
    .Stages((Depth + Levels - 1) / Levels)
  ) u_valid (
    .clk_i,
    .rst_ni,
    .valid_i,
    .valid_o(valid)
  );

  if (Tokens == 1) begin : gen_one_token
    logic unused_key;
    assign unused_key = ^key;
    assign valid_o = valid;
    assign data_o = index;
  end else begin : gen_many_tokens
    logic [CountWidth-1:0] token_q;  // number of the token that leaves the tree
    logic [IndexWidth-1:0] first_q;  // index of its lane 0
    logic [KeyWidth-1:0] best_q;
    logic [IndexWidth-1:0] index_q;
    logic last, valid_q;

    assign last = token_q == CountWidth'(Tokens - 1);

    always_ff @(posedge clk_i) begin
      if (valid && (token_q == '0 || key > best_q)) begin
        best_q <= key;
        index_q <= first_q + index;
      end
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        token_q <= '0;
        first_q <= '0;
        valid_q <= 1'b0;
      end else begin
        valid_q <= valid && last;
        if (valid) begin
          token_q <= last ? '0 : token_q + 1'b1;
          first_q <= last ? '0 : first_q + IndexWidth'(Lanes);
        end
      end
    end

    assign valid_o = valid_q;
    assign data_o = index_q;
  end
endmodule
